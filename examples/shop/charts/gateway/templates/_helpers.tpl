{{- define "gateway.selector" -}}
app.kubernetes.io/name: gateway
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "gateway.labels" -}}
{{ include "gateway.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/component: frontend
app.kubernetes.io/part-of: shop
{{- end }}

{{- define "gateway.chart" -}}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{/* Only a digest names what was scanned and signed. */}}
{{- define "gateway.image" -}}
{{- $digest := required "image.digest is not set: aksci sets it; by hand, --set image.digest=sha256:…" .Values.image.digest -}}
{{- printf "%s@%s" (required "image.repository is not set" .Values.image.repository) $digest -}}
{{- end }}

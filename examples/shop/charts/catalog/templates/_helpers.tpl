{{- define "catalog.selector" -}}
app.kubernetes.io/name: catalog
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "catalog.labels" -}}
{{ include "catalog.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/component: backend
app.kubernetes.io/part-of: shop
{{- end }}

{{- define "catalog.chart" -}}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{/* Only a digest names what was scanned and signed. */}}
{{- define "catalog.image" -}}
{{- $digest := required "image.digest is not set: aksci sets it; by hand, --set image.digest=sha256:…" .Values.image.digest -}}
{{- printf "%s@%s" (required "image.repository is not set" .Values.image.repository) $digest -}}
{{- end }}

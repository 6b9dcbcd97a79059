"""gunicorn's settings: one process with threads; Kubernetes makes the copies."""

from catalog.logs import CONFIG

bind = "0.0.0.0:8080"
workers = 1
threads = 8
worker_class = "gthread"
worker_tmp_dir = "/dev/shm"
control_socket_disable = True
# A request may take 15 s; after SIGTERM those that run have 20 s, less than the pod's terminationGracePeriodSeconds.
timeout = 15
graceful_timeout = 20
keepalive = 5
logconfig_dict = CONFIG

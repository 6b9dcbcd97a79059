"""gunicorn's settings: one process with threads; Kubernetes makes the copies."""

from catalog.logs import CONFIG

bind = "0.0.0.0:8080"
workers = 1
# More than are at work: a connection on which nothing was sent yet, of which clients like to have some, keeps a thread for
# up to 5 s.
threads = 32
worker_class = "gthread"
worker_tmp_dir = "/dev/shm"
control_socket_disable = True
# The time-out is of the process, not of a request. After SIGTERM the requests that run have 30 s; with preStopSeconds,
# less than the pod's terminationGracePeriodSeconds. Connections stay open for longer than our clients keep an idle one
# (60 s), so that no request meets a closing one.
timeout = 15
graceful_timeout = 30
keepalive = 75
logconfig_dict = CONFIG

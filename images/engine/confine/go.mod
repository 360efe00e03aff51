module hello-k8s/confine

go 1.25

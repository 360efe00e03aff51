module hello-k8s/go-app

go 1.26

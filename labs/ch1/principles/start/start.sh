#!/bin/sh
# 웹 서버는 뒤에서, 워커는 앞에서 · the web server behind, the worker in front
go build -o web main.go
./web &
./web worker

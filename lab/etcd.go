package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func runEtcd(args []string) int {
	etcdmain.Main(append([]string{os.Args[0]}, args...))
	return 0
}

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"

	"github.com/slipway-dev/slipway/internal/image"
	"github.com/slipway-dev/slipway/internal/lab"
)

func main() {
	ctx := context.Background()
	switch os.Args[1] {
	case "up":
		w := 0
		if len(os.Args) > 4 {
			w, _ = strconv.Atoi(os.Args[4])
		}
		l, err := lab.Up(ctx, lab.Options{Name: os.Args[2], Nodes: lab.Nodes(os.Args[3]), Workers: w, Progress: lab.NewProgress(os.Stdout, false)})
		if err != nil {
			fmt.Println("ERR", err)
			os.Exit(1)
		}
		fmt.Println(l.Kubeconfig())
	case "status":
		l, err := lab.Open(os.Args[2])
		if err == nil {
			var s lab.Status
			s, err = l.Status(ctx)
			d, _ := json.MarshalIndent(s.Components, "", " ")
			fmt.Println(string(d), s.Workers)
		}
		fmt.Println(err)
	case "push":
		l, _ := lab.Open(os.Args[2])
		img, err := image.Build(image.Spec{Binary: os.Args[3]})
		fmt.Println(err)
		tag, _ := image.ParseTag(os.Args[4])
		fmt.Println(image.Push(ctx, l.Registry(), tag, img))
	case "down":
		fmt.Println(lab.Down(ctx, os.Args[2]))
	}
}

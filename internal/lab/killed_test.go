package lab_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"
)

// killUp runs slipway up in a process of its own and kills that as soon as the file exists.
func killUp(t *testing.T, file, name string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), fmt.Sprintf(`%s={"Name":%q,"Nodes":"real"}`, upInstead, name))
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, file+" appears", func(context.Context) error {
		_, err := os.Stat(file)
		return err
	})
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed: that is the error
}

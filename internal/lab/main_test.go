package lab_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"testing"

	"github.com/slipway-dev/slipway/internal/lab"
)

// upInstead has this test binary bring up a lab, as slipway up does, so that a test can kill it meanwhile. Its value is the
// lab's options in JSON.
const upInstead = "SLIPWAY_TEST_UP"

func TestMain(m *testing.M) {
	if options := os.Getenv(upInstead); options != "" {
		up(options)
	}
	os.Exit(m.Run())
}

func up(encoded string) {
	var o struct {
		Name  string
		Nodes lab.Nodes
	}
	err := json.Unmarshal([]byte(encoded), &o)
	if err == nil {
		_, err = lab.Up(context.Background(), lab.Options{Name: o.Name, Nodes: o.Nodes})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

package e2e_test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"testing"

	"github.com/slipway-dev/slipway/internal/source/oci"
)

// pushOurs pushes a folder as `slipway push artifact` does.
func pushOurs(t *testing.T, url, folder, revision string) {
	t.Helper()
	to, err := oci.ParseLocation(url)
	if err != nil {
		t.Fatal(err)
	}
	artifact, err := oci.Pack(oci.Contents{Files: os.DirFS(folder), Revision: revision})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := oci.Push(t.Context(), to, nil, oci.Auth{}, true, artifact); err != nil {
		t.Fatal(err)
	}
}

// digestOf is a digest as a status has it.
func digestOf(content []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(content)) }

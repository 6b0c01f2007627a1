package build

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// While a kustomization with a schema of its own is built nothing else is: it may not take long.
func TestOwnSchemaBuildsAreSmall(t *testing.T) {
	manifests := func(n int) string {
		var all strings.Builder
		for i := range n {
			fmt.Fprintf(&all, "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c%d}\n", i)
		}
		return all.String()
	}
	schema := readFile(t, corpus+"/openapi/target/schema.json")
	for name, tc := range map[string]struct {
		openapi string
		objects int
		refused bool
	}{
		"few, alone":        {"openapi: {path: schema.json}\n", aloneObjects, false},
		"many, alone":       {"openapi: {path: schema.json}\n", aloneObjects + 1, true},
		"many, with others": {"", aloneObjects + 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			files := map[string]string{"kustomization.yaml": tc.openapi + "resources: [all.yaml]\n", "all.yaml": manifests(tc.objects), "schema.json": schema}
			_, err := New().Build(t.Context(), Input{Tree: tree(files)})
			var typed *Error
			if refused := errors.As(err, &typed) && typed.Reason == ReasonTooLarge; refused != tc.refused || err != nil && !refused {
				t.Errorf("%d objects: %v", tc.objects, err)
			}
		})
	}
}

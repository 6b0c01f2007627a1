package bucket

import (
	"io/fs"
	"path"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"

	"github.com/slipway-dev/slipway/internal/source"
)

// FuzzKeys lets a server name its objects as it likes: what is kept is a plain path below the root, whatever the rules say.
func FuzzKeys(f *testing.F) {
	for _, seed := range []string{"a", "../a", "a/../../b", "/a", "a//b", "./a", ".", "", "a/", "a\\b", "a\x00b", "\xff", strings.Repeat("a/", 200), ".sourceignore"} {
		f.Add(seed, "", "")
	}
	f.Add("deploy/a.yaml", "*.yaml\n!deploy\n", "/deploy\n")
	f.Fuzz(func(t *testing.T, key, rules, ignore string) {
		req := Request{Limits: source.Limits{}.WithDefaults(), Ignore: &ignore}
		found, err := keep(req, map[string]minio.ObjectInfo{key: {Key: key, ETag: "e", Size: 1}}, []byte(rules))
		if err != nil {
			if len(err.Error()) > 1000 {
				t.Errorf("the error is %d bytes long", len(err.Error()))
			}
			return
		}
		for kept := range found {
			if !fs.ValidPath(kept) || path.Clean("/root/"+kept) != "/root/"+kept || kept == "." {
				t.Errorf("%q became a file", kept)
			}
		}
	})
}

package bucket

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/slipway-dev/slipway/internal/source"
)

// index is what the server says is in the bucket: entity tags by key.
type index map[string]string

// revision is the digest over the index, the same as Flux's for the same bucket.
func (i index) revision() string {
	h := sha256.New()
	for _, key := range slices.Sorted(maps.Keys(i)) {
		fmt.Fprintf(h, "%s %s\n", key, i[key])
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil))
}

// checkKey refuses the key of an object that can't become a file of that name, below the root of a tree.
func checkKey(key string) error {
	if path.Clean(key) == key && fs.ValidPath(key) && key != "." && !strings.ContainsAny(key, "\\\x00") {
		return nil
	}
	return &source.Error{Reason: source.ReasonContentInvalid, Err: fmt.Errorf(
		"the object with the key %q can't become a file: it leads out of the tree, or isn't a plain path; rename it, or leave it out with spec.ignore", shorten(key))}
}

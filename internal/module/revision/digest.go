package revision

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/slipway-dev/slipway/api/v1alpha1"
)

// Digest is of everything that is applied: the objects of the steps as JSON with sorted keys, in their order. Objects that can't be
// written as JSON don't come from any parser; they count as empty.
func Digest(steps []Step) v1alpha1.Digest {
	hash := sha256.New()
	out := json.NewEncoder(hash)
	for _, s := range steps {
		_ = out.Encode(s.Name)
		for _, o := range s.Objects {
			_ = out.Encode(o.Object)
		}
	}
	return v1alpha1.Digest("sha256:" + hex.EncodeToString(hash.Sum(nil)))
}

// DigestOf is the digest of some bytes.
func DigestOf(content []byte) v1alpha1.Digest {
	sum := sha256.Sum256(content)
	return v1alpha1.Digest("sha256:" + hex.EncodeToString(sum[:]))
}

// contentOf writes objects as a list in JSON. The same objects give the same bytes.
func contentOf(objects []*unstructured.Unstructured) ([]byte, error) {
	list := make([]map[string]any, len(objects))
	for i, o := range objects {
		list[i] = o.Object
	}
	return json.Marshal(list)
}

package bundle

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// ErrDamaged says that a bundle isn't what was written.
var ErrDamaged = errors.New("the bundle is damaged: carry it over again")

const (
	layoutFile = "oci-layout"
	indexFile  = "index.json"
	blobFolder = "blobs/sha256/"

	maxManifest = 8 << 20 // bytes of a manifest or an index
	maxEntries  = 200_000 // files of a bundle
	maxDepth    = 4       // indexes in indexes
	maxNamed    = 5000    // manifests or blobs that one manifest names
)

func blobName(digest v1.Hash) string { return blobFolder + digest.Hex }

// named is what a manifest names.
type named struct {
	manifests, blobs []v1.Descriptor
}

// parse reads a manifest or an index, and holds it against its digest.
func parse(raw []byte, digest v1.Hash) (named, error) {
	if sum := sha256.Sum256(raw); digest.Algorithm != "sha256" || hex.EncodeToString(sum[:]) != digest.Hex {
		return named{}, fmt.Errorf("%w: a manifest is not %s", ErrDamaged, digest)
	}
	var m struct {
		SchemaVersion int             `json:"schemaVersion"`
		Config        *v1.Descriptor  `json:"config"`
		Layers        []v1.Descriptor `json:"layers"`
		Manifests     []v1.Descriptor `json:"manifests"`
	}
	if err := json.NewDecoder(bytes.NewReader(raw)).Decode(&m); err != nil || m.SchemaVersion != 2 {
		return named{}, fmt.Errorf("%s is no manifest that can be copied: it must be of OCI, or of Docker's second schema", digest)
	}
	n := named{manifests: m.Manifests, blobs: m.Layers}
	if m.Config != nil {
		n.blobs = append(n.blobs, *m.Config)
	}
	if len(n.manifests) > maxNamed || len(n.blobs) > maxNamed {
		return named{}, fmt.Errorf("%s names more than %d others", digest, maxNamed)
	}
	for _, all := range [][]v1.Descriptor{n.manifests, n.blobs} {
		for _, d := range all {
			if d.Digest.Algorithm != "sha256" || len(d.Digest.Hex) != sha256.Size*2 || d.Size < 0 {
				return named{}, fmt.Errorf("%s names something that has no sha256 digest", digest)
			}
		}
	}
	return n, nil
}

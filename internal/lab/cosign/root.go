package cosign

import (
	"encoding/hex"
	"fmt"

	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/testing/ca"
)

// TrustedRoot writes trusted_root.json for an instance of Sigstore: who vouches for its certificates, and its transparency log.
func TrustedRoot(instance *ca.VirtualSigstore) ([]byte, error) {
	logs := map[string]*root.TransparencyLog{}
	for id, l := range instance.RekorLogs() {
		raw, err := hex.DecodeString(id)
		if err != nil {
			return nil, fmt.Errorf("read the id of a log: %w", err)
		}
		l.ID = raw
		logs[id] = l
	}
	trusted, err := root.NewTrustedRoot(root.TrustedRootMediaType01, instance.FulcioCertificateAuthorities(), nil, instance.TimestampingAuthorities(), logs)
	if err != nil {
		return nil, fmt.Errorf("make a trusted root: %w", err)
	}
	return trusted.MarshalJSON()
}

package receiver

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // GitHub's older header; an HMAC doesn't need collision resistance
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"hash"
	"net/http"
	"strings"

	apiv1 "github.com/fluxcd/notification-controller/api/v1"
)

// Headers that prove who calls.
const (
	headerHMAC      = "X-Signature"
	headerGitHub    = "X-Hub-Signature-256"
	headerGitHubOld = "X-Hub-Signature"
	headerGitLab    = "X-Gitlab-Token"
)

// proof checks that a call comes from somebody who has the token. The body goes through mac, unless it is nil; then good says whether the
// call is genuine.
type proof struct {
	mac  hash.Hash
	want []byte
}

// good tells whether the body that was written to mac has the signature that was sent.
func (p proof) good() bool { return p.mac == nil || hmac.Equal(p.mac.Sum(nil), p.want) }

// proofOf reads from the header what a call to a Receiver of this type must prove. Its error is for the sender.
func proofOf(receiverType string, header http.Header, token string) (proof, error) {
	switch receiverType {
	case apiv1.GenericReceiver:
		return proof{}, nil // the address is the proof
	case apiv1.GenericHMACReceiver:
		return signed(headerHMAC, header.Get(headerHMAC), token)
	case apiv1.GitHubReceiver:
		if value := header.Get(headerGitHub); value != "" {
			return signed(headerGitHub, value, token)
		}
		return signed(headerGitHubOld, header.Get(headerGitHubOld), token)
	case apiv1.GitLabReceiver:
		sent := header.Get(headerGitLab)
		if sent == "" {
			return proof{}, errors.New(headerGitLab + " is missing; set the webhook's secret token")
		}
		// Digests, because the time of comparing texts tells how long they are.
		a, b := sha256.Sum256([]byte(sent)), sha256.Sum256([]byte(token))
		if subtle.ConstantTimeCompare(a[:], b[:]) != 1 {
			return proof{}, errors.New(headerGitLab + " isn't the Receiver's token")
		}
		return proof{}, nil
	}
	return proof{}, errors.New("calls of this type are not served")
}

// signed reads a signature of the form ALGORITHM=HEX.
func signed(name, value, token string) (proof, error) {
	if value == "" {
		return proof{}, errors.New(name + " is missing; set the webhook's secret to the Receiver's token")
	}
	algorithm, digits, _ := strings.Cut(value, "=")
	var of func() hash.Hash
	switch algorithm {
	case "sha1":
		of = sha1.New
	case "sha256":
		of = sha256.New
	case "sha512":
		of = sha512.New
	default:
		return proof{}, errors.New(name + " must be sha256=HEX, sha512=HEX or sha1=HEX")
	}
	want, err := hex.DecodeString(digits)
	if err != nil || len(want) != of().Size() {
		return proof{}, errors.New(name + " is not a whole signature in hexadecimal")
	}
	return proof{mac: hmac.New(of, []byte(token)), want: want}, nil
}

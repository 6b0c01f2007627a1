package bucket

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"strconv"
	"strings"

	sourcev1 "github.com/fluxcd/source-controller/api/v1"

	"github.com/slipway-dev/slipway/internal/source"
)

// Request is what to fetch, and how to get there.
type Request struct {
	// Endpoint is HOST or HOST:PORT of the server.
	Endpoint string
	// Name is the bucket's.
	Name string
	// Prefix is what the keys begin with; empty for all.
	Prefix string
	// Region is the bucket's; empty: the server is asked for it once.
	Region string
	// Insecure speaks plain HTTP.
	Insecure bool
	// Ignore is spec.ignore; nil if there is none.
	Ignore *string
	// Access is with what credentials and by which way.
	Access Access
	// Limits bound what the bucket may cost.
	Limits source.Limits
}

// Check refuses a spec that can't be served whatever the server says. Its errors are *source.Error.
func Check(spec sourcev1.BucketSpec) error {
	unsupported := func(field, advice string) error {
		return &source.Error{Reason: source.ReasonUnsupportedField, Err: fmt.Errorf("%s: not served by this version of Slipway; %s", field, advice)}
	}
	switch spec.Provider {
	case "", sourcev1.BucketProviderGeneric:
	case sourcev1.BucketProviderAmazon:
		if spec.SecretRef == nil {
			return unsupported("spec.provider: aws without spec.secretRef", "it takes static keys only: name a Secret with accesskey and secretkey, or leave this Bucket to Flux")
		}
		if spec.CertSecretRef != nil {
			return unsupported("spec.certSecretRef with provider aws", "it is for the provider generic only")
		}
	default:
		return unsupported("spec.provider: "+spec.Provider, "use the S3 API of the storage with provider generic, or leave this Bucket to Flux")
	}
	switch {
	case spec.STS != nil:
		return unsupported("spec.sts", "put static keys into the Secret that spec.secretRef names, or leave this Bucket to Flux")
	case spec.ServiceAccountName != "":
		return unsupported("spec.serviceAccountName", "put static keys into the Secret that spec.secretRef names, or leave this Bucket to Flux")
	}
	return checkEndpoint(spec.Endpoint)
}

func checkEndpoint(endpoint string) error {
	shown := endpoint
	if _, after, found := strings.Cut(endpoint, "@"); found {
		shown = "*****@" + after
	}
	bad := func(why string) error {
		return &source.Error{Reason: source.ReasonURLInvalid, Err: fmt.Errorf("spec.endpoint %q can't be used: %s", shorten(shown), why)}
	}
	if strings.Contains(endpoint, "://") {
		return bad("write HOST or HOST:PORT without a scheme; spec.insecure decides between http and https")
	}
	if strings.ContainsAny(endpoint, "/?#@ \\%\t\r\n") {
		return bad("write HOST or HOST:PORT, without a path, credentials or anything else")
	}
	host, port := endpoint, ""
	if h, p, err := net.SplitHostPort(endpoint); err == nil {
		host, port = h, p
	}
	if n, err := strconv.Atoi(port); port != "" && (err != nil || n < 1 || n > 65535) {
		return bad("the port must be a number from 1 to 65535")
	}
	if host == "" {
		return bad("write HOST or HOST:PORT")
	}
	return nil
}

// place identifies where content comes from, for entity tags mean nothing beyond one bucket.
func (r Request) place() string {
	return strings.Join([]string{r.Endpoint, strconv.FormatBool(r.Insecure), r.Name, r.Access.id}, "\x00")
}

// origin is what the store is told that an object's content is called.
func (r Request) origin(etag string) string {
	sum := sha256.Sum256([]byte(r.place() + "\x00" + etag))
	return hex.EncodeToString(sum[:16])
}

// recallKey is the key under which the store knows the tree of a revision. It has the credentials in it: nobody is given what was shown
// to somebody else.
func (r Request) recallKey(revision string) string { return "bucket " + r.place() + "\x00" + revision }

// String returns the bucket for a message.
func (r Request) String() string {
	return fmt.Sprintf("bucket '%s' at %s", shorten(r.Name), shorten(r.Endpoint))
}

const maxShown = 120

// shorten makes a stranger's text fit for a message.
func shorten(text string) string {
	text = printable(text)
	if letters := []rune(text); len(letters) > maxShown {
		return string(letters[:maxShown]) + "…"
	}
	return text
}

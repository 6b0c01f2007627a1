package bucket

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"unicode"

	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"github.com/minio/minio-go/v7"

	"github.com/slipway-dev/slipway/internal/source"
)

// ReasonFailed is of a fetch that failed for no reason of its own. It is Flux's.
const ReasonFailed = sourcev1.BucketOperationFailedReason

// classify turns whatever happened into a *source.Error that says what to do and has no credentials in it.
func classify(ctx context.Context, err error, req Request) error {
	failed := func(reason, format string, args ...any) error {
		return &source.Error{Reason: reason, Err: fmt.Errorf(format, args...)}
	}
	var (
		typed   *source.Error
		limit   *source.LimitError
		unknown x509.UnknownAuthorityError
		said    = answer(err)
	)
	switch {
	case errors.As(err, &typed):
		return typed
	case errors.As(err, &limit):
		return &source.Error{Reason: source.ReasonLimitExceeded, Err: limit}
	case errors.Is(ctx.Err(), context.DeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return failed(ReasonFailed, "%s didn't answer in time (%w): check that the server is well, or raise spec.timeout", req, context.DeadlineExceeded)
	case ctx.Err() != nil:
		return failed(ReasonFailed, "fetch from %s was cancelled: %w", req, context.Canceled)
	case errors.As(err, &unknown):
		return failed(ReasonFailed, "the certificate of %s is signed by an authority that isn't trusted here: put its CA certificate under ca.crt into the Secret that spec.certSecretRef names", shorten(req.Endpoint))
	case said.Code == minio.NoSuchBucket:
		return failed(ReasonFailed, "%s doesn't exist: check spec.bucketName and spec.endpoint", req)
	case refused(said):
		return failed(source.ReasonAuthenticationFailed, "%s refused %s (%s): check the Secret that spec.secretRef names, and that its key may list the bucket and read its objects",
			req, req.Access.describe(), shorten(said.Code))
	}
	return failed(ReasonFailed, "fetch from %s: %s", req, req.Access.hide(err.Error()))
}

// answer is what the server said, if err is something that it said.
func answer(err error) minio.ErrorResponse {
	var said minio.ErrorResponse
	errors.As(err, &said)
	return said
}

// refused recognises the answers of S3 servers that mean other credentials.
func refused(said minio.ErrorResponse) bool {
	switch said.Code {
	case "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "ExpiredToken", "AccountProblem", "AllAccessDisabled",
		"XAdminUserNotFound": // versitygw, of a key that it does not know
		return true
	}
	return said.StatusCode == http.StatusForbidden || said.StatusCode == http.StatusUnauthorized
}

func (a Access) describe() string {
	if a.accessKey == "" {
		return "a request without credentials"
	}
	return "these keys"
}

const maxQuoted = 300

// hide makes a stranger's text printable, short, and free of credentials.
func (a Access) hide(text string) string {
	text = strings.Join(strings.Fields(printable(text)), " ")
	for _, secret := range a.hidden() {
		if secret == "" {
			continue
		}
		if len(secret) < 4 && strings.Contains(text, secret) {
			return "the server's words are withheld, they may contain a credential"
		}
		text = strings.ReplaceAll(text, secret, "*****")
	}
	if letters := []rune(text); len(letters) > maxQuoted {
		text = string(letters[:maxQuoted]) + "…"
	}
	return text
}

func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
}

package source

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"syscall"
	"time"
	"unicode"

	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"github.com/go-git/go-git/v5/plumbing/transport"
)

// Reasons of an [Error], ready for a condition. Where Flux has a word for it, it is Flux's.
const (
	// ReasonAuthenticationFailed: the Secret lacks what the URL needs, the
	// server refused it, or the server's host key isn't the known one.
	ReasonAuthenticationFailed = sourcev1.AuthenticationFailedReason
	// ReasonURLInvalid: spec.url can't be used as it is.
	ReasonURLInvalid = sourcev1.URLInvalidReason
	// ReasonGitOperationFailed: the server couldn't be reached, answered
	// nonsense, or doesn't have the wanted revision.
	ReasonGitOperationFailed = sourcev1.GitOperationFailedReason
	// ReasonReferenceInvalid: spec.ref can't be used as it is.
	ReasonReferenceInvalid = "ReferenceInvalid"
	// ReasonUnsupportedField: a field that this version doesn't implement is set.
	ReasonUnsupportedField = "UnsupportedField"
	// ReasonPathInvalid: a path of spec.sparseCheckout or spec.include can't be used as it is.
	ReasonPathInvalid = sourcev1.InvalidPathReason
	// ReasonIncludeCopy: what is included isn't there, or is in the way of something.
	ReasonIncludeCopy = "CopyFailure"
	// ReasonProviderInvalid: spec.provider and the Secret or the URL don't fit together.
	ReasonProviderInvalid = sourcev1.InvalidProviderConfigurationReason
	// ReasonLimitExceeded: the repository is larger than [Limits] allow.
	ReasonLimitExceeded = "LimitExceeded"
	// ReasonContentInvalid: what a server gave can't be used: a damaged archive,
	// a path that leads out of the tree, another digest than was announced. The
	// kinds of sources have reasons of their own that a driver may say instead.
	ReasonContentInvalid = "ContentInvalid"
	// ReasonStorageOperationFailed: our own disk failed us.
	ReasonStorageOperationFailed = sourcev1.StorageOperationFailedCondition
)

// Reasons of an [Error] about signatures; all but the mode's may be healed by another commit, tag or Secret. The words are Flux's.
const (
	// ReasonVerification: the Secret with the keys is missing or has none.
	ReasonVerification = sourcev1.VerificationError
	// ReasonVerificationMode: spec.verify asks for a signed tag where spec.ref names no tag.
	ReasonVerificationMode = "InvalidVerificationMode"
	// ReasonUnsignedObject: the tag has no signature.
	ReasonUnsignedObject = "InvalidGitObject"
	// ReasonInvalidTagSignature: none of the keys made the tag's signature.
	ReasonInvalidTagSignature = "InvalidTagSignature"
	// ReasonInvalidCommitSignature: the commit has no signature, or none of the keys made it.
	ReasonInvalidCommitSignature = "InvalidCommitSignature"
)

// What callers may tell apart with errors.Is.
var (
	// ErrRevisionNotFound: the branch, tag, reference or commit isn't there (any more).
	ErrRevisionNotFound = errors.New("revision not found")
	// ErrHostKey: the SSH server's key is unknown, revoked or not the known one.
	ErrHostKey = errors.New("host key verification failed")
	// ErrEscapes: a symbolic link leads out of the tree.
	ErrEscapes = errors.New("symbolic link leads out of the tree")
	// ErrDamaged: stored content is missing or isn't what was stored. The next
	// Fetch stores it anew.
	ErrDamaged = errors.New("stored content is damaged or missing")
)

// Error is what fetches, [AuthFromSecret] and [Unsupported] fail with. Its
// text tells what to do and never holds a credential.
type Error struct {
	// Reason is one of the Reason constants.
	Reason string
	// Err is what happened.
	Err error
	// RetryAfter is how long the server asks to be left alone; 0 when it didn't say.
	RetryAfter time.Duration
}

func (e *Error) Error() string { return e.Err.Error() }

func (e *Error) Unwrap() error { return e.Err }

// Permanent reports whether trying again is useless until somebody changes the
// object's spec. A changed Secret or a changed repository may heal all others.
func (e *Error) Permanent() bool {
	switch e.Reason {
	case ReasonURLInvalid, ReasonReferenceInvalid, ReasonUnsupportedField, ReasonVerificationMode, ReasonPathInvalid:
		return true
	}
	return false
}

// Unverified reports whether the revision was found but its signature isn't what spec.verify asks for.
func (e *Error) Unverified() bool {
	switch e.Reason {
	case ReasonVerification, ReasonVerificationMode, ReasonUnsignedObject, ReasonInvalidTagSignature, ReasonInvalidCommitSignature:
		return true
	}
	return false
}

func failf(reason, format string, args ...any) *Error {
	return &Error{Reason: reason, Err: fmt.Errorf(format, args...)}
}

// quoted is somebody else's error with the credentials taken out of its text.
// It can be compared but not unwrapped: the original text stays inside.
type quoted struct {
	text  string
	cause error
}

func (q *quoted) Error() string { return q.text }

func (q *quoted) Is(target error) bool { return errors.Is(q.cause, target) }

const maxQuoted = 300

// printable keeps a stranger's text from playing with terminals.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
}

// quote makes a foreign error printable: one line, bounded, without secrets.
func quote(err error, secrets []string) error {
	text := printable(err.Error())
	for _, s := range secrets {
		if len(s) < 4 && strings.Contains(text, s) {
			// Too short to be cut out without leaving a hint of where it was.
			return &quoted{text: "the server's words are withheld, they may contain a credential", cause: err}
		}
		text = strings.ReplaceAll(text, s, "*****")
	}
	text = strings.Join(strings.Fields(text), " ")
	if r := []rune(text); len(r) > maxQuoted {
		text = string(r[:maxQuoted]) + "…"
	}
	return &quoted{text: text, cause: err}
}

// isRefusal reports whether a server wants other credentials.
func isRefusal(err error) bool {
	return errors.Is(err, transport.ErrAuthenticationRequired) || errors.Is(err, transport.ErrAuthorizationFailed)
}

// classify turns whatever a transport returned into an *Error that says what to do.
func (f *fetch) classify(err error) error {
	rem, auth := f.rem, f.auth
	var (
		typed   *Error
		limit   *LimitError
		unknown x509.UnknownAuthorityError
	)
	cause := func() error { return quote(err, slices.Concat(auth.secrets(), rem.secrets(), f.proxy.secrets())) }
	switch {
	case errors.As(err, &typed):
		return typed
	case errors.As(err, &limit):
		return &Error{Reason: ReasonLimitExceeded, Err: limit}
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT): // ours: what a server says is no errno
		return storageError(err)
	case f.proxy.refused(err):
		return failf(ReasonAuthenticationFailed, "the proxy of %s refused the credentials, or asks for some: check username and password of the Secret that spec.proxySecretRef names", rem)
	case errors.Is(err, context.DeadlineExceeded):
		return failf(ReasonGitOperationFailed, "%s didn't answer in time%s (%w): check that the server is well, or raise spec.timeout", rem, f.proxy.way(), context.DeadlineExceeded)
	case errors.Is(err, context.Canceled):
		return failf(ReasonGitOperationFailed, "fetch from %s was cancelled: %w", rem, context.Canceled)
	case isRefusal(err):
		return failf(ReasonAuthenticationFailed, "%s refused %s: check the Secret that spec.secretRef names and what its owner may read", rem, auth.describe(rem))
	case errors.Is(err, transport.ErrRepositoryNotFound):
		return failf(ReasonGitOperationFailed, "%w at %s: check spec.url; some servers also answer so when the credentials may not read it, so check spec.secretRef as well", transport.ErrRepositoryNotFound, rem)
	case errors.Is(err, transport.ErrEmptyRemoteRepository):
		return failf(ReasonGitOperationFailed, "%w: %s has no commit yet: push one", ErrRevisionNotFound, rem)
	case errors.As(err, &unknown):
		return failf(ReasonGitOperationFailed, "the certificate of %s is signed by an authority that isn't trusted here: put its CA certificate under ca.crt into the Secret that spec.secretRef names", rem)
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ECONNRESET), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return failf(ReasonGitOperationFailed, "%s closed the connection%s: check that spec.url is right and that the server is well: %w", rem, f.proxy.way(), cause())
	}
	return failf(ReasonGitOperationFailed, "fetch from %s%s: %w", rem, f.proxy.way(), cause())
}

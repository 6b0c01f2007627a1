package pack

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/slipway-dev/slipway/internal/source"
	"github.com/slipway-dev/slipway/internal/source/oci"
)

// Unavailable says that somebody didn't answer, or asked to be left alone: the same question may be answered later. Every other error of
// this package lasts until somebody changes the package, the source or its Secret.
type Unavailable struct{ Err error }

func (u *Unavailable) Error() string { return u.Err.Error() }

// Unwrap gives the cause.
func (u *Unavailable) Unwrap() error { return u.Err }

// Invalid says what is wrong with a package, a file of it or the values for it. Its text never holds a value that somebody has set.
type Invalid struct {
	// File is the path in the package; empty for the values and for the package as a whole.
	File string
	// Field of the file or of the values, such as spec.replicas; empty for all of it.
	Field string
	// Message says what is wrong and what to do.
	Message string
	// Err is the cause, if there is one. Its text is not part of Error's: it may quote values.
	Err error
}

func (i *Invalid) Error() string {
	var b strings.Builder
	for _, part := range []string{i.File, i.Field} {
		if part != "" {
			b.WriteString(part)
			b.WriteString(": ")
		}
	}
	b.WriteString(i.Message)
	return b.String()
}

// Unwrap gives the cause.
func (i *Invalid) Unwrap() error { return i.Err }

func invalid(file, field, format string, args ...any) *Invalid {
	return &Invalid{File: file, Field: field, Message: fmt.Sprintf(format, args...)}
}

// What callers may tell apart with errors.Is.
var (
	// ErrUnlisted: the source has no list of versions, so one must be named. It is an answer of Fetcher.Versions for plain manifests.
	ErrUnlisted = errors.New("a web server has no list of versions: name the version, or follow a catalogue")
	// ErrNoVersion: the source doesn't have the version.
	ErrNoVersion = errors.New("the source doesn't have this version")
	// ErrUnsigned: the package has no signature that is trusted, or none can be looked for in this kind of source.
	ErrUnsigned = errors.New("the package has no signature that is trusted")
)

// classify tells what may be answered later from what lasts, and says the module's fields in place of those that the sources know.
func classify(err error) error {
	var (
		known *Unavailable
		bad   *Invalid
		typed *source.Error
	)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &known), errors.As(err, &bad), errors.Is(err, ErrUnlisted), errors.Is(err, ErrUnsigned), errors.Is(err, ErrNoVersion):
		return err
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return &Unavailable{Err: reword(err)}
	case !errors.As(err, &typed):
		return err
	case errors.Is(err, source.ErrRevisionNotFound):
		return &reworded{err: err, also: ErrNoVersion}
	case typed.Reason == oci.ReasonVerification:
		return &reworded{err: err, also: ErrUnsigned}
	}
	switch typed.Reason {
	case oci.ReasonPull, oci.ReasonTags, source.ReasonGitOperationFailed, source.ReasonDownloadFailed, source.ReasonStorageOperationFailed:
		return &Unavailable{Err: reword(err)}
	}
	return reword(err)
}

// reworded is an error of a source in the words of a Module.
type reworded struct {
	err  error
	also error // what it is besides; nil: nothing
}

func reword(err error) error {
	if err == nil {
		return nil
	}
	return &reworded{err: err}
}

func (r *reworded) Error() string { return words().Replace(r.err.Error()) }

func (r *reworded) Unwrap() []error {
	if r.also == nil {
		return []error{r.err}
	}
	return []error{r.err, r.also}
}

// words are the fields of a Module for those of Flux's sources. The longer ones come first.
func words() *strings.Replacer {
	return strings.NewReplacer(
		"spec.verify.secretRef", "spec.verify.keysRef",
		"spec.secretRef (or an imagePullSecret of spec.serviceAccountName)", "the source's secretRef",
		" (or those of spec.serviceAccountName)", "",
		"spec.secretRef", "the source's secretRef",
		"spec.certSecretRef", "the source's secretRef",
		"spec.ref.tag", "spec.version", "spec.ref.digest", "spec.version", "spec.ref.semver", "spec.version", "spec.ref", "spec.version",
		"set spec.insecure if that is what you want", "let it answer with TLS, or name it in the agent's --insecure-registries",
		", or raise spec.timeout", "",
		"spec.url", "the source's url",
	)
}

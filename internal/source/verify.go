package source

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"github.com/go-git/go-git/v5/plumbing"
)

// Verification is spec.verify together with the keys of its Secret.
type Verification struct {
	// Mode is what must be signed: HEAD (the commit; the default), Tag or TagAndHEAD.
	Mode sourcev1.GitVerificationMode
	// Keys are those whose signatures count.
	Keys SigningKeys
}

func (v *Verification) key() string {
	if v == nil {
		return ""
	}
	return string(v.mode()) + " " + v.Keys.id
}

func (v *Verification) mode() sourcev1.GitVerificationMode {
	return cmp.Or(v.Mode, sourcev1.ModeGitHEAD)
}

func (v *Verification) tag() bool    { return v.mode() != sourcev1.ModeGitHEAD }
func (v *Verification) commit() bool { return v.mode() != sourcev1.ModeGitTag }

// checkVerification refuses to look for the signature of a tag where spec.ref names none.
func (f *fetch) checkVerification() error {
	if f.verification == nil || !f.verification.tag() || f.sel.isTag() {
		return nil
	}
	return failf(ReasonVerificationMode, "spec.verify.mode: %s needs a tag, and spec.ref names none: set spec.ref.tag, semver, or name (refs/tags/…), or the mode HEAD", f.verification.Mode)
}

// isTag reports whether the selector leads to a tag, whatever the server has.
func (s selector) isTag() bool {
	return s.commit.IsZero() && (s.tag != "" || s.constraint != nil || strings.HasPrefix(s.name, tagPrefix))
}

const tagPrefix = "refs/tags/"

// verify checks the signatures that the request asks for, each time anew: a key that was taken out of the Secret counts no more. It
// returns a line for each signature. What is signed must be in the mirror, else the error is errMirror.
func (f *fetch) verify(o *objects, t target) (proofs []string, err error) {
	v := f.verification
	if v == nil {
		return nil, nil
	}
	if v.tag() {
		proof, err := v.verifyTag(o, t)
		if err != nil {
			return nil, err
		}
		proofs = append(proofs, proof)
	}
	if v.commit() {
		proof, err := v.verifyCommit(o, t.commit)
		if err != nil {
			return nil, err
		}
		proofs = append(proofs, proof)
	}
	return proofs, nil
}

func (v *Verification) verifyTag(o *objects, t target) (string, error) {
	kind, raw, err := o.read(t.want)
	if err != nil {
		return "", err
	}
	if kind != plumbing.TagObject {
		return "", failf(ReasonUnsignedObject, "the tag %s is not annotated, so it can't be signed: make it anew with git tag -s", printable(t.label))
	}
	// A signed tag that is shown under another name would let a server roll back to an old version.
	if name := tagName(raw); name != strings.TrimPrefix(t.label, tagPrefix) {
		return "", failf(ReasonInvalidTagSignature, "the tag object %s was signed as %s and is shown as %s: push the tag under the name that it was signed as", t.want, quoteName(name), quoteName(t.label))
	}
	s, err := signedTag(raw)
	if errors.Is(err, errUnsigned) {
		return "", failf(ReasonUnsignedObject, "the tag %s isn't signed: make it anew with git tag -s", printable(t.label))
	}
	var by string
	if err == nil {
		by, err = v.Keys.verify(s)
	}
	if err != nil {
		return "", failf(ReasonInvalidTagSignature, "the signature of the tag %s doesn't hold: %w", printable(t.label), err)
	}
	return fmt.Sprintf("tag %s with key %s", printable(t.label), by), nil
}

func (v *Verification) verifyCommit(o *objects, h plumbing.Hash) (string, error) {
	raw, err := o.typed(plumbing.CommitObject, h)
	if err != nil {
		return "", err
	}
	s, err := signedCommit(raw)
	var by string
	if err == nil {
		by, err = v.Keys.verify(s)
	}
	if err != nil {
		return "", failf(ReasonInvalidCommitSignature, "the signature of the commit %s doesn't hold: %w", h, err)
	}
	return fmt.Sprintf("commit %s with key %s", h, by), nil
}

func quoteName(s string) string { return "\"" + printable(s) + "\"" }

package source

import (
	"bytes"
	"errors"
	"strings"
)

// signed is a commit or a tag as Git signs it: what was signed, and the signature beside it.
type signed struct {
	payload   []byte
	signature []byte
}

// maxSignatureBytes bounds a signature; those of large keys with notations have a few KiB.
const maxSignatureBytes = 64 << 10

var (
	errUnsigned  = errors.New("it isn't signed")
	errManifold  = errors.New("it has more than one signature: sign it once")
	errSignature = errors.New("its signature is malformed, or of more than 64 KiB")
)

// signedCommit takes the signature out of a commit's headers. It works on the bytes as they are: to decode and encode a commit again
// could change what was signed. Like Git, it leaves the signature for the other object format out of the payload.
func signedCommit(raw []byte) (signed, error) {
	s, err := cutSignatureHeaders(raw)
	if err == nil && len(s.signature) == 0 {
		err = errUnsigned
	}
	return s, err
}

// signedTag takes the signature off the end of a tag. Git looks for the last line that begins one.
func signedTag(raw []byte) (signed, error) {
	at := -1
	for i := 0; i < len(raw); {
		if formatOf(raw[i:]) != formatUnknown {
			at = i
		}
		next := bytes.IndexByte(raw[i:], '\n')
		if next < 0 {
			break
		}
		i += next + 1
	}
	if at < 0 {
		return signed{}, errUnsigned
	}
	s, err := cutSignatureHeaders(raw[:at])
	if err != nil {
		return signed{}, err
	}
	if s.signature = raw[at:]; len(s.signature) > maxSignatureBytes {
		return signed{}, errSignature
	}
	return s, nil
}

// cutSignatureHeaders removes "gpgsig" and "gpgsig-sha256", with the lines that continue them, and returns the first one.
func cutSignatureHeaders(raw []byte) (signed, error) {
	var s signed
	const here, other, elsewhere = "gpgsig ", "gpgsig-sha256 ", ""
	within := elsewhere
	rest, found := raw, 0
	for len(rest) > 0 && rest[0] != '\n' {
		line := rest
		if i := bytes.IndexByte(rest, '\n'); i >= 0 {
			line = rest[:i+1]
		}
		rest = rest[len(line):]
		text := line
		switch {
		case line[0] == ' ' && within != elsewhere:
			text = line[1:]
		case bytes.HasPrefix(line, []byte(here)):
			within, text, found = here, line[len(here):], found+1
		case bytes.HasPrefix(line, []byte(other)):
			within = other
		default:
			within = elsewhere
		}
		switch within {
		case elsewhere:
			s.payload = append(s.payload, line...)
		case here:
			s.signature = append(s.signature, text...)
		}
	}
	s.payload = append(s.payload, rest...)
	switch {
	case found > 1:
		return signed{}, errManifold
	case len(s.signature) > maxSignatureBytes:
		return signed{}, errSignature
	}
	return s, nil
}

// tagName is what a tag calls itself. The name is signed with it, unlike the reference under which a server shows it.
func tagName(raw []byte) string {
	for line := range strings.Lines(string(raw)) {
		if line == "\n" {
			break
		}
		if name, ok := strings.CutPrefix(line, "tag "); ok {
			return strings.TrimSuffix(name, "\n")
		}
	}
	return ""
}

// format is how a signature was made.
type format string

const (
	formatPGP     format = "PGP"
	formatSSH     format = "SSH"
	formatX509    format = "X.509"
	formatUnknown format = "unknown"
)

// formatOf looks at the line that text begins with.
func formatOf(text []byte) format {
	begins := func(armor string) bool { return bytes.HasPrefix(text, []byte("-----BEGIN "+armor+"-----")) }
	switch {
	case begins("PGP SIGNATURE"), begins("PGP MESSAGE"):
		return formatPGP
	case begins("SSH SIGNATURE"):
		return formatSSH
	case begins("SIGNED MESSAGE"):
		return formatX509
	}
	return formatUnknown
}

package sops

import (
	"bytes"
	"strings"
)

// Format is the form of a file.
type Format string

// The formats that SOPS knows. Binary is any content; encrypted, it is a JSON object with the one value "data".
const (
	YAML   Format = "YAML"
	JSON   Format = "JSON"
	Dotenv Format = "dotenv"
	INI    Format = "INI"
	Binary Format = "binary"
)

// dockerConfig is the key of a Secret whose value is JSON although its name doesn't end so.
const dockerConfig = ".dockerconfigjson"

// FormatOf tells a file's format by its name, as SOPS does: what no extension tells is Binary.
func FormatOf(name string) Format {
	switch {
	case strings.HasSuffix(name, ".yaml"), strings.HasSuffix(name, ".yml"):
		return YAML
	case strings.HasSuffix(name, ".json"), strings.HasSuffix(name, dockerConfig):
		return JSON
	case strings.HasSuffix(name, ".env"):
		return Dotenv
	case strings.HasSuffix(name, ".ini"):
		return INI
	}
	return Binary
}

// marks are what SOPS leaves in an encrypted file of each format. In this order, since a file in JSON may hold another file as text.
func marks() []struct {
	format Format
	mark   string
} {
	return []struct {
		format Format
		mark   string
	}{
		{JSON, `"mac": "ENC[`},
		{Dotenv, "sops_mac=ENC["},
		{YAML, "mac: ENC["},
		{INI, "[sops]"},
	}
}

// Detect tells whether content is an encrypted file, and of which format. Binary files are told as JSON, which they are while encrypted.
func Detect(content []byte) (Format, bool) {
	for _, m := range marks() {
		if bytes.Contains(content, []byte(m.mark)) {
			return m.format, true
		}
	}
	return "", false
}

// Encrypted tells whether content looks like an encrypted file of the format.
func Encrypted(content []byte, format Format) bool {
	if format == Binary {
		format = JSON
	}
	for _, m := range marks() {
		if m.format == format {
			return bytes.Contains(content, []byte(m.mark))
		}
	}
	return false
}

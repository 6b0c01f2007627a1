package sops

import (
	"errors"
	"fmt"
	"strconv"
	"time"
)

// metadataKey is where a file keeps what is needed to decrypt it.
const metadataKey = "sops"

const (
	kindAge = "age"
	kindPGP = "PGP"
	// maxRecipients bounds the work that a file's metadata can ask for.
	maxRecipients = 200
	maxGroups     = 255
)

// metadata is what of a file's metadata decryption needs.
type metadata struct {
	groups           [][]Recipient
	threshold        int // how many groups are needed
	mac              string
	lastModified     string // in the form in which it is the MAC's additional data
	macOnlyEncrypted bool
	rules            rules
}

func parseMetadata(value any) (metadata, error) {
	branch, ok := value.(mapping)
	if !ok {
		return metadata{}, ErrNotEncrypted
	}
	raw := asMap(branch)
	var m metadata
	var err error
	if m.rules, err = parseRules(raw); err != nil {
		return m, err
	}
	m.mac, _ = raw["mac"].(string)
	modified, isTime := raw["lastmodified"].(time.Time)
	if text, ok := raw["lastmodified"].(string); ok {
		modified, err = time.Parse(time.RFC3339, text)
		isTime = err == nil
	}
	if !isTime {
		return m, errors.New("its metadata has no lastmodified")
	}
	m.lastModified = modified.Format(time.RFC3339)
	m.macOnlyEncrypted = truth(raw["mac_only_encrypted"])
	return m, m.keyGroups(raw)
}

func (m *metadata) keyGroups(raw map[string]any) error {
	if group := recipients(raw); len(group) > 0 {
		m.groups, m.threshold = [][]Recipient{group}, 1
	} else {
		groups, _ := raw["key_groups"].([]any)
		for _, g := range groups {
			fields, _ := g.(map[string]any)
			m.groups = append(m.groups, recipients(fields))
		}
		m.threshold = number(raw["shamir_threshold"])
		if m.threshold <= 0 {
			m.threshold = len(m.groups)
		}
	}
	count := 0
	for _, g := range m.groups {
		count += len(g)
	}
	switch {
	case count == 0:
		return errors.New("its metadata names no key that it is encrypted for")
	case count > maxRecipients || len(m.groups) > maxGroups:
		return fmt.Errorf("its metadata names %d keys in %d groups; at most %d in %d are looked at", count, len(m.groups), maxRecipients, maxGroups)
	case m.threshold > len(m.groups):
		return fmt.Errorf("its metadata asks for %d key groups and has %d", m.threshold, len(m.groups))
	}
	return nil
}

// recipients are the keys of one group, those that are served first.
func recipients(fields map[string]any) []Recipient {
	var out []Recipient
	for _, service := range []struct {
		field, kind string
		id          []string
	}{
		{"age", kindAge, []string{"recipient"}},
		{"pgp", kindPGP, []string{"fp"}},
		{"kms", "AWS KMS", []string{"arn"}},
		{"gcp_kms", "Google Cloud KMS", []string{"resource_id"}},
		{"azure_kv", "Azure Key Vault", []string{"vault_url", "name"}},
		{"hc_vault", "Vault", []string{"vault_address", "engine_path", "key_name"}},
		{"hckms", "Huawei Cloud KMS", []string{"key_id"}},
	} {
		keys, _ := fields[service.field].([]any)
		for _, k := range keys {
			key, _ := k.(map[string]any)
			r := Recipient{Kind: service.kind}
			for i, name := range service.id {
				part, _ := key[name].(string)
				if i > 0 {
					r.ID += "/"
				}
				r.ID += printable(part)
			}
			r.encrypted, _ = key["enc"].(string)
			out = append(out, r)
		}
	}
	return out
}

// maxID is where the name of a key is cut in messages, in bytes. Age's post-quantum recipients are 2,000 long.
const maxID = 100

// printable makes what a file calls a key fit for a message.
func printable(id string) string {
	out := make([]rune, 0, len(id))
	for _, r := range id {
		if len(out) == maxID {
			out = append(out, '…')
			break
		}
		if r < ' ' || r == 0x7f || !strconv.IsPrint(r) {
			r = '?'
		}
		out = append(out, r)
	}
	return string(out)
}

// asMap turns metadata into Go's maps; comments are dropped.
func asMap(m mapping) map[string]any {
	out := make(map[string]any, len(m))
	for _, e := range m {
		if e.comment == nil {
			out[e.key] = asGo(e.value)
		}
	}
	return out
}

func asGo(v any) any {
	switch v := v.(type) {
	case mapping:
		return asMap(v)
	case list:
		out := make([]any, 0, len(v))
		for _, item := range v {
			if _, ok := item.(*comment); !ok {
				out = append(out, asGo(item))
			}
		}
		return out
	}
	return v
}

// truth and number read values that formats without types give as text.
func truth(v any) bool {
	if text, ok := v.(string); ok {
		out, err := strconv.ParseBool(text)
		return err == nil && out
	}
	out, _ := v.(bool)
	return out
}

func number(v any) int {
	if text, ok := v.(string); ok {
		out, err := strconv.Atoi(text)
		if err != nil {
			return 0
		}
		return out
	}
	out, _ := v.(int)
	return out
}

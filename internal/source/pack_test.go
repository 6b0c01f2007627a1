package source

import (
	"bytes"
	"compress/zlib"
	"crypto/sha1"
	"encoding/binary"
	"errors"
	"io"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
)

// packOf makes a pack out of entries: type and size header, then the zlib data.
func packOf(entries ...[]byte) []byte {
	out := []byte("PACK\x00\x00\x00\x02")
	out = binary.BigEndian.AppendUint32(out, uint32(len(entries)))
	for _, e := range entries {
		out = append(out, e...)
	}
	sum := sha1.Sum(out)
	return append(out, sum[:]...)
}

func packed(t testing.TB, kind plumbing.ObjectType, claimed int, prefix, content []byte) []byte {
	t.Helper()
	head := byte(kind)<<4 | byte(claimed&0x0f)
	var out []byte
	for claimed >>= 4; claimed > 0; claimed >>= 7 {
		out = append(out, head|0x80)
		head = byte(claimed & 0x7f)
	}
	out = append(append(out, head), prefix...)
	var z bytes.Buffer
	w := zlib.NewWriter(&z)
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return append(out, z.Bytes()...)
}

func TestPackBombs(t *testing.T) {
	lim := Limits{MaxObjectBytes: 1 << 16, MaxUnpackedBytes: 1 << 18, MaxObjects: 100}.withDefaults()
	base := packed(t, plumbing.BlobObject, 4, nil, []byte("base"))
	offset := byte(len(base)) // The delta follows its base at once.
	delta := func(target uint64) []byte {
		d := binary.AppendUvarint([]byte{4}, target)
		return packed(t, plumbing.OFSDeltaObject, len(d)+2, []byte{offset}, append(d, 0x90, 0x04))
	}
	many := make([][]byte, 6)
	for i := range many {
		many[i] = packed(t, plumbing.BlobObject, 1<<16, nil, make([]byte, 1<<16))
	}
	count := packOf(base)
	binary.BigEndian.PutUint32(count[8:], 1<<31)
	cases := map[string]struct {
		reason string
		pack   []byte
		limit  string
	}{
		"fine":       {"a small pack", packOf(base, delta(4)), ""},
		"delta bomb": {"a few bytes that claim to become a terabyte", packOf(base, delta(1<<40)), "MaxObjectBytes"},
		"blob bomb":  {"zeros that compress well", packOf(packed(t, plumbing.BlobObject, 1<<20, nil, make([]byte, 1<<20))), "MaxObjectBytes"},
		"all":        {"each is fine, all together aren't", packOf(many...), "MaxUnpackedBytes"},
		"count":      {"a count that isn't true", count, "MaxObjects"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, _, err := inspectPack(bytes.NewReader(tc.pack), io.Discard, lim)
			var limit *LimitError
			if tc.limit == "" && err != nil || tc.limit != "" && (!errors.As(err, &limit) || limit.Limit != tc.limit) {
				t.Errorf("%s: %v", tc.reason, err)
			}
		})
	}
	lies := map[string][]byte{
		"more than claimed": packOf(packed(t, plumbing.BlobObject, 4, nil, make([]byte, 1<<20))),
		"bad delta":         packOf(base, packed(t, plumbing.OFSDeltaObject, 11, []byte{offset}, bytes.Repeat([]byte{0xff}, 11))),
		"empty delta":       packOf(base, packed(t, plumbing.OFSDeltaObject, 0, []byte{offset}, nil)),
		"cut off":           packOf(base)[:20],
		"no pack":           []byte("not a pack at all"),
		"nothing":           nil,
		"wrong checksum":    append(packOf(base)[:len(packOf(base))-1], 0),
	}
	for name, data := range lies {
		if _, _, err := inspectPack(bytes.NewReader(data), io.Discard, lim); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

package source

import (
	"cmp"
	"fmt"
)

// Limits bound what one repository may cost. The zero value of a field means
// its default. All sizes are bytes.
type Limits struct {
	// MaxTreeBytes bounds the sum of all files that are kept. Default 256 MiB.
	MaxTreeBytes int64
	// MaxFileBytes bounds one file that is kept. Default 32 MiB.
	MaxFileBytes int64
	// MaxFiles bounds the number of files that are kept; ten times as many
	// entries are looked at, the ignored ones included. Default 50,000.
	MaxFiles int
	// MaxDepth bounds the components of a path. Default 64.
	MaxDepth int
	// MaxPackBytes bounds what one fetch may receive. Default 512 MiB.
	MaxPackBytes int64
	// MaxObjectBytes bounds one unpacked Git object, kept or ignored: such an
	// object is in memory while its pack is indexed. Default 128 MiB.
	MaxObjectBytes int64
	// MaxUnpackedBytes bounds the sum of all objects of one pack, unpacked.
	// Default 2 GiB.
	MaxUnpackedBytes int64
	// MaxObjects bounds the objects of one pack. Default 500,000.
	MaxObjects int
}

// ParseLimits reads limits by the names of the fields of [Limits], which are also the names that a [LimitError] says.
func ParseLimits(byName map[string]int64) (Limits, error) {
	var l Limits
	for name, value := range byName {
		if value <= 0 {
			return Limits{}, fmt.Errorf("limit %s=%d: must be above 0", name, value)
		}
		switch name {
		case "MaxTreeBytes":
			l.MaxTreeBytes = value
		case "MaxFileBytes":
			l.MaxFileBytes = value
		case "MaxFiles":
			l.MaxFiles = int(value)
		case "MaxDepth":
			l.MaxDepth = int(value)
		case "MaxPackBytes":
			l.MaxPackBytes = value
		case "MaxObjectBytes":
			l.MaxObjectBytes = value
		case "MaxUnpackedBytes":
			l.MaxUnpackedBytes = value
		case "MaxObjects":
			l.MaxObjects = int(value)
		default:
			return Limits{}, fmt.Errorf("limit %s is not known; there are MaxTreeBytes, MaxFileBytes, MaxFiles, MaxDepth, "+
				"MaxPackBytes, MaxObjectBytes, MaxUnpackedBytes and MaxObjects", name)
		}
	}
	return l, nil
}

// WithDefaults is l with the defaults in the place of zero fields.
func (l Limits) WithDefaults() Limits { return l.withDefaults() }

// withDefaults fills the zero fields in.
func (l Limits) withDefaults() Limits {
	const mib = 1 << 20
	return Limits{
		MaxTreeBytes:     cmp.Or(l.MaxTreeBytes, 256*mib),
		MaxFileBytes:     cmp.Or(l.MaxFileBytes, 32*mib),
		MaxFiles:         cmp.Or(l.MaxFiles, 50_000),
		MaxDepth:         cmp.Or(l.MaxDepth, 64),
		MaxPackBytes:     cmp.Or(l.MaxPackBytes, 512*mib),
		MaxObjectBytes:   cmp.Or(l.MaxObjectBytes, 128*mib),
		MaxUnpackedBytes: cmp.Or(l.MaxUnpackedBytes, 2048*mib),
		MaxObjects:       cmp.Or(l.MaxObjects, 500_000),
	}
}

// What the other side may send before it gets to the pack, and the few things
// that nobody needs to configure.
const (
	maxAdvertisedBytes = 32 << 20
	maxErrorBodyBytes  = 4 << 10
	maxIgnoreFileBytes = 1 << 20
	maxIgnorePatterns  = 2000
	maxLinkBytes       = 4096
	entriesPerFile     = 10
)

// LimitError says which limit was exceeded, by what, and what to do.
type LimitError struct {
	// Limit is the name of the field of [Limits], or a word for a fixed one.
	Limit string
	// Value is the limit that was in force, in bytes or pieces.
	Value int64
	// Got is what was found; 0 when it was cut off at the limit.
	Got int64
	// What was too large: a path or a part of the protocol.
	What string
	// Advice is what to do about it.
	Advice string
}

func (e *LimitError) Error() string {
	got := "more"
	if e.Got > 0 {
		got = fmt.Sprint(e.Got)
	}
	return fmt.Sprintf("%s exceeds the limit %s=%d (%s): %s", e.What, e.Limit, e.Value, got, e.Advice)
}

const (
	adviceIgnore  = "leave it out with spec.ignore or a .sourceignore file, or raise the limit with the agent's --source-limits"
	adviceArchive = "take out of it what isn't needed, or raise the limit with the agent's --source-limits"
	advicePack    = "Git sends it whatever spec.ignore says, so move large files out of the repository (Git LFS, a registry), or raise the limit with the agent's --source-limits"
)

package interpret

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// covers says whether the target names a kind.
func (t Target) covers(gvk schema.GroupVersionKind) bool {
	return t.coversKind(gvk.GroupKind()) && (len(t.Versions) == 0 || slices.Contains(t.Versions, gvk.Version))
}

func (t Target) coversKind(gk schema.GroupKind) bool {
	if t.Kind != "*" && t.Kind != gk.Kind {
		return false
	}
	if domain, many := strings.CutPrefix(t.Group, "*"); many {
		return strings.HasSuffix(gk.Group, domain)
	}
	return t.Group == gk.Group
}

// includes says whether the target covers all that another one covers.
func (t Target) includes(other Target) bool {
	if t.Kind != "*" && t.Kind != other.Kind {
		return false
	}
	if domain, many := strings.CutPrefix(t.Group, "*"); many && !strings.HasSuffix(other.Group, domain) || !many && t.Group != other.Group {
		return false
	}
	if len(t.Versions) == 0 {
		return true
	}
	return len(other.Versions) > 0 && !slices.ContainsFunc(other.Versions, func(v string) bool { return !slices.Contains(t.Versions, v) })
}

// single says whether the target is one kind by its name.
func (t Target) single() bool { return t.Kind != "*" && !strings.HasPrefix(t.Group, "*.") }

func (t Target) groupKind() schema.GroupKind { return schema.GroupKind{Group: t.Group, Kind: t.Kind} }

// specificity orders targets that cover the same object: the more is said, the more it is meant. A kind by its name is before all kinds of
// a group, a group before those that end alike, and few versions before many before all.
func (t Target) specificity() int {
	n := 0
	if t.Kind != "*" {
		n += 4 * maxVersions
	}
	if !strings.HasPrefix(t.Group, "*.") {
		n += 2 * maxVersions
	}
	if len(t.Versions) > 0 {
		n += 1 + maxVersions - len(t.Versions)
	}
	return n
}

// ofKubernetes says whether the target covers kinds that belong to Kubernetes itself, and not to something that is installed in it.
func (t Target) ofKubernetes() bool {
	const own = ".k8s.io"
	if suffix, many := strings.CutPrefix(t.Group, "*"); many {
		return strings.HasSuffix(own, suffix) || strings.HasSuffix(suffix, own)
	}
	installed := t.Group == "gateway.networking.k8s.io" || t.Group == "snapshot.storage.k8s.io" || t.Group == "metrics.k8s.io"
	return !strings.Contains(t.Group, ".") || strings.HasSuffix(t.Group, own) && !installed
}

// String writes the target as people do: Certificate.cert-manager.io.
func (t Target) String() string {
	name := t.Kind
	if t.Group != "" {
		name += "." + t.Group
	}
	if len(t.Versions) > 0 {
		name += " (" + strings.Join(t.Versions, ", ") + ")"
	}
	return name
}

func gvkOf(fields map[string]any) schema.GroupVersionKind {
	return (&unstructured.Unstructured{Object: fields}).GroupVersionKind()
}

package agent

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/labels"

	"github.com/slipway-dev/slipway/internal/delivery/aside"
)

// terms are the settings that say for whom delivery is done, and as whom, by the names of their flags: those that differ from the zero value, so
// that a setting which another version doesn't know is no difference before somebody uses it. A process that serves delivery alone has to have the
// agent's, or a tenant's bounds would be others than whoever set them meant.
func (o Options) terms() (string, error) {
	listed := func(all []string) string { return strings.Join(slices.Sorted(slices.Values(all)), ",") }
	flux := listed(o.FluxNamespaces)
	if flux == aside.DefaultNamespace { // what is meant where none is named
		flux = ""
	}
	k, all := o.Kustomizations, map[string]string{}
	for name, value := range map[string]string{
		"default-service-account": k.DefaultServiceAccount,
		"allow-agent-identity":    said(k.AllowAgentIdentity),
		"no-cross-namespace-refs": said(k.NoCrossNamespaceRefs),
		"additive-ready-expr":     said(k.AdditiveReadyExpr),
		"allow-file-urls":         said(o.AllowFile),
		"namespaces":              listed(o.Namespaces),
		"flux-namespace":          flux,
		"watch-label-selector":    selected(o.Selector),
	} {
		if value != "" {
			all[name] = value
		}
	}
	text, err := json.Marshal(all)
	if err != nil {
		return "", fmt.Errorf("write down the settings: %w", err)
	}
	return string(text), nil
}

func said(flag bool) string {
	if !flag {
		return ""
	}
	return strconv.FormatBool(flag)
}

func selected(by labels.Selector) string {
	if by == nil {
		return ""
	}
	return by.String()
}

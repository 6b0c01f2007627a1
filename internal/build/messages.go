package build

import (
	"path"
	"regexp"
	"strings"
)

// translation says in other words what Kustomize says of a common mistake: what to do,
// without the trail of every base on the way there.
type translation struct {
	pattern *regexp.Regexp
	reason  string
	message string // $1… stand for the pattern's groups
}

var translations = []translation{
	{
		regexp.MustCompile(`(?:may not add resource with an already registered id|id already exists in the map|already registered id): ([^\s']+)`), ReasonBuildFailed,
		"$1 is in the build twice: keep one of them, or tell them apart by a namePrefix",
	},
	{
		regexp.MustCompile(`cycle detected: candidate root '([^']*)' contains visited root '([^']*)'`), ReasonBuildFailed,
		"cycle: $1 is included by $2, which is inside it or included by it; bases must not include each other",
	},
	{
		regexp.MustCompile(`no resource matches strategic merge patch "([^"]+)"`), ReasonBuildFailed,
		"a patch is for $1, which is not among the resources: correct its apiVersion, kind, name or namespace, or give the patch a target",
	},
	{
		regexp.MustCompile(`no matches for Id ([^\s;]+)`), ReasonBuildFailed,
		"$1 is patched, and not among the resources: correct its apiVersion, kind, name or namespace",
	},
	{
		regexp.MustCompile(`unable to load external plugin '?([^']+?)'?(?:$|\s)`), ReasonUnsupported,
		"the plugin $1 is not built into Kustomize, and a build runs no other programs; commit what it would generate",
	},
	{
		regexp.MustCompile(`(?s)trouble configuring builtin Patch\w*Transformer`), ReasonBuildFailed,
		"a patch can be read neither as a strategic merge patch (apiVersion, kind, metadata.name and what changes) " +
			"nor as a JSON patch (a list of op, path and value)",
	},
	{
		regexp.MustCompile(`testing value (\S+) failed`), ReasonBuildFailed,
		"a JSON patch tests $1, and the resource has another value there; correct the patch",
	},
	{
		regexp.MustCompile(`kustomization\.yaml is empty`), ReasonBuildFailed,
		"the kustomization is empty; list resources in it, or remove it so that all manifests beside it are taken",
	},
	{
		regexp.MustCompile(`expected kind != 'Component' for path '([^']*)'`), ReasonBuildFailed,
		"$1 is a Component; list it under components, not under resources",
	},
}

var (
	mergingFrom  = regexp.MustCompile(`merging resources from '([^']+)'`)
	notComponent = regexp.MustCompile(`expected kind 'Component' for path '([^']*)'`)
)

// translate makes an *Error of a failure inside Kustomize.
func (v *view) translate(cause error) *Error {
	text := strings.ReplaceAll(cause.Error(), mount+"/", "")
	e := &Error{Reason: ReasonBuildFailed, Message: tidy(text), Err: cause}
	if _, inTree := v.contents[v.lastKustomization]; inTree {
		e.File = v.lastKustomization
	}
	if m := notComponent.FindStringSubmatch(text); m != nil {
		e.Message = m[1] + " is not a Component; list it under resources, not under components"
		return e
	}
	for _, t := range translations {
		m := t.pattern.FindStringSubmatchIndex(text)
		if m == nil {
			continue
		}
		e.Reason = t.reason
		e.Message = tidy(string(t.pattern.ExpandString(nil, t.message, text, m)))
		break
	}
	if m := mergingFrom.FindStringSubmatch(text); m != nil {
		file := path.Join(path.Dir(v.lastKustomization), m[1])
		if _, read := v.contents[file]; read {
			e.File = file
		}
	}
	return e
}

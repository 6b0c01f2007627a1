package pack

import (
	"maps"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/slipway-dev/slipway/api/v1alpha1"
)

// Images lists the images that containers in objects run, sorted, each once: in every list of containers, whatever the kind.
func Images(objects []*unstructured.Unstructured) []string {
	all := map[string]bool{}
	for _, o := range objects {
		containers(o.Object, func(c map[string]any) {
			if image, ok := c["image"].(string); ok && image != "" {
				all[image] = true
			}
		})
	}
	return slices.Sorted(maps.Keys(all))
}

// containers calls visit for every container in a value.
func containers(value any, visit func(map[string]any)) {
	switch v := value.(type) {
	case []any:
		for _, item := range v {
			containers(item, visit)
		}
	case map[string]any:
		for key, inner := range v {
			list, isList := inner.([]any)
			if isList && (key == "containers" || key == "initContainers" || key == "ephemeralContainers") {
				for _, item := range list {
					if c, ok := item.(map[string]any); ok {
						visit(c)
					}
				}
			}
			containers(inner, visit)
		}
	}
}

// rewriteImages takes images from elsewhere: those of containers, and those that the package names because controllers start them.
func rewriteImages(objects []*unstructured.Unstructured, rewrites []v1alpha1.ImageRewrite, named []string) {
	if len(rewrites) == 0 {
		return
	}
	moved := map[string]string{}
	for _, image := range named {
		if to := Rewrite(image, rewrites); to != image {
			moved[image] = to
		}
	}
	for _, o := range objects {
		containers(o.Object, func(c map[string]any) {
			if image, ok := c["image"].(string); ok {
				c["image"] = Rewrite(image, rewrites)
			}
			if len(moved) > 0 {
				for _, field := range []string{"command", "args"} {
					rewriteTexts(c[field], moved)
				}
				rewriteVariables(c["env"], moved)
			}
		})
	}
}

func rewriteTexts(list any, moved map[string]string) {
	texts, _ := list.([]any)
	for i, item := range texts {
		if text, ok := item.(string); ok {
			texts[i] = rewriteText(text, moved)
		}
	}
}

func rewriteVariables(list any, moved map[string]string) {
	variables, _ := list.([]any)
	for _, item := range variables {
		variable, _ := item.(map[string]any)
		if text, ok := variable["value"].(string); ok {
			variable["value"] = rewriteText(text, moved)
		}
	}
}

// rewriteText replaces an image that is all of a text, or all that comes after its first "=".
func rewriteText(text string, moved map[string]string) string {
	if to, ok := moved[text]; ok {
		return to
	}
	if flag, value, found := strings.Cut(text, "="); found {
		if to, ok := moved[value]; ok {
			return flag + "=" + to
		}
	}
	return text
}

// Rewrite gives the name of an image after the first rewrite whose prefix fits. A prefix fits where a part of the name ends after it; the
// name is compared as it is written, and as it is in full: nginx is docker.io/library/nginx.
func Rewrite(image string, rewrites []v1alpha1.ImageRewrite) string {
	full := inFull(image)
	for _, r := range rewrites {
		from := strings.TrimSuffix(r.From, "/")
		for _, written := range []string{image, full} {
			rest, ok := strings.CutPrefix(written, from)
			if ok && (rest == "" || strings.ContainsRune("/:@", rune(rest[0]))) {
				return strings.TrimSuffix(r.To, "/") + rest
			}
		}
	}
	return image
}

// inFull writes out what Docker lets people leave out: host and library.
func inFull(image string) string {
	ref, err := name.ParseReference(image)
	if err != nil {
		return image
	}
	registry := ref.Context().RegistryStr()
	if registry == name.DefaultRegistry {
		registry = "docker.io"
	}
	full := registry + "/" + ref.Context().RepositoryStr()
	// What comes after the repository stays as it is written: a tag, a digest, both or nothing.
	written := image[strings.LastIndex(image, "/")+1:]
	if at := strings.IndexAny(written, ":@"); at >= 0 {
		full += written[at:]
	}
	return full
}

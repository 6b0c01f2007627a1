package delivery

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strconv"
	"strings"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
)

// variables are the values that postBuild substitutes, and which of them must not be shown.
type variables struct {
	values  map[string]string
	secrets []string
}

// digest tells whether two sets of values are the same without keeping them.
func (v variables) digest() string {
	if len(v.values) == 0 {
		return ""
	}
	keys := make([]string, 0, len(v.values))
	for k := range v.values {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	h := sha256.New()
	for _, k := range keys {
		fmt.Fprintf(h, "%d:%s=%d:%s\n", len(k), k, len(v.values[k]), v.values[k])
	}
	return hex.EncodeToString(h.Sum(nil))
}

// minMasked is the shortest secret value that is masked: shorter ones, such as "1" or "on", would tear ordinary words apart and
// protect nothing.
const minMasked = 4

// mask replaces the values that came from Secrets in a text that people will read.
func (v variables) mask(text string) string {
	for _, secret := range v.secrets {
		text = strings.ReplaceAll(text, secret, "*****")
	}
	return text
}

// forms are the texts in which a value may show: as it is, as it is substituted (without line ends), line by line, quoted, and encoded
// as in a Secret's manifest.
func forms(value string) []string {
	joined := strings.ReplaceAll(value, "\n", "")
	all := []string{value, joined, strings.TrimSpace(value), base64.StdEncoding.EncodeToString([]byte(value)), base64.StdEncoding.EncodeToString([]byte(joined))}
	all = append(all, strings.Split(value, "\n")...)
	for _, text := range slices.Clone(all) {
		quoted := strconv.Quote(text)
		all = append(all, quoted[1:len(quoted)-1])
	}
	all = slices.DeleteFunc(all, func(text string) bool { return len(strings.TrimSpace(text)) < minMasked })
	slices.Sort(all)
	return slices.Compact(all)
}

// variables reads what spec.postBuild refers to: one request per reference.
func (r *KustomizationReconciler) variables(ctx context.Context, obj *kustomizev1.Kustomization) (variables, error) {
	out := variables{values: map[string]string{}}
	if obj.Spec.PostBuild == nil {
		return out, nil
	}
	for _, ref := range obj.Spec.PostBuild.SubstituteFrom {
		values, secret, err := r.substituteFrom(ctx, obj.Namespace, ref)
		if err != nil {
			return variables{}, err
		}
		for k, v := range values {
			out.values[k] = v
			if secret {
				out.secrets = append(out.secrets, forms(v)...)
			}
		}
	}
	for k, v := range obj.Spec.PostBuild.Substitute {
		out.values[k] = v
	}
	// Longest first, so that a value inside another one leaves nothing of it.
	slices.SortFunc(out.secrets, func(a, b string) int { return len(b) - len(a) })
	return out, nil
}

func (r *KustomizationReconciler) substituteFrom(ctx context.Context, namespace string, ref kustomizev1.SubstituteReference) (values map[string]string, secret bool, err error) {
	key := types.NamespacedName{Namespace: namespace, Name: ref.Name}
	values = map[string]string{}
	switch ref.Kind {
	case "ConfigMap":
		var cm corev1.ConfigMap
		if err = r.reader.Get(ctx, key, &cm); err == nil {
			values = cm.Data
		}
	case "Secret":
		secret = true
		var s corev1.Secret
		if err = r.reader.Get(ctx, key, &s); err == nil {
			for k, v := range s.Data {
				values[k] = string(v)
			}
		}
	default:
		return nil, false, fmt.Errorf("postBuild.substituteFrom: kind %q is neither ConfigMap nor Secret", ref.Kind)
	}
	switch {
	case err == nil, apierrors.IsNotFound(err) && ref.Optional:
		return values, secret, nil
	case apierrors.IsNotFound(err):
		return nil, secret, fmt.Errorf("postBuild.substituteFrom: %s '%s' not found; create it, or mark the reference optional", ref.Kind, key)
	}
	return nil, secret, fmt.Errorf("postBuild.substituteFrom: read %s '%s': %w", ref.Kind, key, err)
}

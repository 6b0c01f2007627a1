package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// minHidden is the length from which a secret value is hidden: shorter ones would tear ordinary words apart.
const minHidden = 4

// substitutions are the values for a Kustomization's variables.
type substitutions struct {
	all     map[string]string
	secrets []string // values that came from a Secret, the longest first
}

// hide replaces the values that came from Secrets in a text for people.
func (s substitutions) hide(text string) string {
	for _, secret := range s.secrets {
		text = strings.ReplaceAll(text, secret, "*****")
	}
	return text
}

// substitutions reads what postBuild names, as the person whose kubeconfig it is.
func (c *cluster) substitutions(ctx context.Context, ks *kustomizev1.Kustomization) (substitutions, error) {
	found := substitutions{all: map[string]string{}}
	if ks.Spec.PostBuild == nil {
		return found, nil
	}
	for _, ref := range ks.Spec.PostBuild.SubstituteFrom {
		values, err := c.valuesFrom(ctx, client.ObjectKey{Namespace: ks.Namespace, Name: ref.Name}, ref.Kind)
		if apierrors.IsNotFound(err) && ref.Optional {
			continue
		}
		if err != nil {
			return found, fmt.Errorf("read postBuild.substituteFrom %s %q: %w", ref.Kind, ref.Name, err)
		}
		maps.Copy(found.all, values)
		if ref.Kind != "Secret" {
			continue
		}
		for _, value := range values {
			if len(value) >= minHidden {
				found.secrets = append(found.secrets, value)
			}
		}
	}
	maps.Copy(found.all, ks.Spec.PostBuild.Substitute)
	slices.SortFunc(found.secrets, func(a, b string) int { return len(b) - len(a) })
	return found, nil
}

func (c *cluster) valuesFrom(ctx context.Context, key client.ObjectKey, kind string) (map[string]string, error) {
	if kind == "ConfigMap" {
		var settings corev1.ConfigMap
		err := c.Get(ctx, key, &settings)
		return settings.Data, err
	}
	var secret corev1.Secret
	if err := c.Get(ctx, key, &secret); err != nil {
		return nil, err
	}
	values := make(map[string]string, len(secret.Data))
	for name, value := range secret.Data {
		values[name] = string(value)
	}
	return values, nil
}

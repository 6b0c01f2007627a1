// Package inputs reads what a Kustomization refers to in the cluster and its build needs: the variables of postBuild.substituteFrom and
// the keys of spec.decryption. It says what that was, so that a caller can tell whether it changed, and which of it nobody may be shown.
package inputs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"maps"
	"slices"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/internal/build"
	"github.com/slipway-dev/slipway/internal/build/mask"
	"github.com/slipway-dev/slipway/internal/build/sops"
	"github.com/slipway-dev/slipway/internal/kube"
)

const (
	kindConfigMap = "ConfigMap"
	kindSecret    = "Secret"
)

// Inputs are what was read.
type Inputs struct {
	// Vars are the values for post-build substitution: what substituteFrom names, and substitute over it.
	Vars map[string]string
	// Keys are those of the decryption Secret; nil where the spec names none.
	Keys *sops.Keys
	// Mask hides the values that came from Secrets.
	Mask mask.Mask
	// Digest is another one when Vars or the keys are; empty where there are none.
	Digest string
}

// For is what a build of a tree is made of, with what was read. A path other than the spec's is one that somebody tries out.
func (in Inputs) For(tree build.Tree, path string, spec kustomizev1.KustomizationSpec) build.Input {
	return build.Input{Tree: tree, Path: path, Spec: spec, Vars: in.Vars, Keys: in.Keys}
}

// Refs are the objects that Read reads, each once.
func Refs(obj *kustomizev1.Kustomization) []kube.Ref {
	var refs []kube.Ref
	add := func(kind, name string) {
		ref := kube.Ref{Version: "v1", Kind: kind, Namespace: obj.Namespace, Name: name}
		if !slices.Contains(refs, ref) {
			refs = append(refs, ref)
		}
	}
	if pb := obj.Spec.PostBuild; pb != nil {
		for _, from := range pb.SubstituteFrom {
			add(from.Kind, from.Name)
		}
	}
	if d := obj.Spec.Decryption; d != nil && d.SecretRef != nil {
		add(kindSecret, d.SecretRef.Name)
	}
	return refs
}

// Read makes one request per object that the spec refers to. Its errors name the field and what to do, and quote no value.
func Read(ctx context.Context, reader client.Reader, obj *kustomizev1.Kustomization) (Inputs, error) {
	in := Inputs{Vars: map[string]string{}}
	if pb := obj.Spec.PostBuild; pb != nil {
		for _, from := range pb.SubstituteFrom {
			if err := in.substituteFrom(ctx, reader, obj.Namespace, from); err != nil {
				return Inputs{}, err
			}
		}
		maps.Copy(in.Vars, pb.Substitute)
	}
	h := sha256.New()
	put(h, in.Vars)
	if d := obj.Spec.Decryption; d != nil && d.SecretRef != nil {
		if err := in.decryption(ctx, reader, types.NamespacedName{Namespace: obj.Namespace, Name: d.SecretRef.Name}, h); err != nil {
			return Inputs{}, err
		}
	}
	if len(in.Vars) > 0 || in.Keys != nil {
		in.Digest = hex.EncodeToString(h.Sum(nil))
	}
	return in, nil
}

func (in *Inputs) substituteFrom(ctx context.Context, reader client.Reader, namespace string, from kustomizev1.SubstituteReference) error {
	values, err := Values(ctx, reader, namespace, from)
	key := types.NamespacedName{Namespace: namespace, Name: from.Name}
	switch {
	case apierrors.IsNotFound(err) && from.Optional:
		return nil
	case apierrors.IsNotFound(err):
		return fmt.Errorf("postBuild.substituteFrom: %s '%s' not found; create it, or mark the reference optional", from.Kind, key)
	case err != nil:
		return fmt.Errorf("postBuild.substituteFrom: read %s '%s': %w", from.Kind, key, err)
	}
	maps.Copy(in.Vars, values)
	if from.Kind == kindSecret {
		in.Mask.Add(slices.Collect(maps.Values(values))...)
	}
	return nil
}

// Values reads the values that one reference names; those of a Secret must not be shown. Its errors are the API server's.
func Values(ctx context.Context, reader client.Reader, namespace string, from kustomizev1.SubstituteReference) (map[string]string, error) {
	key := types.NamespacedName{Namespace: namespace, Name: from.Name}
	switch from.Kind {
	case kindConfigMap:
		var cm corev1.ConfigMap
		err := reader.Get(ctx, key, &cm)
		return cm.Data, err
	case kindSecret:
		var s corev1.Secret
		if err := reader.Get(ctx, key, &s); err != nil {
			return nil, err
		}
		values := make(map[string]string, len(s.Data))
		for name, value := range s.Data {
			values[name] = string(value)
		}
		return values, nil
	}
	return nil, fmt.Errorf("kind %q is neither ConfigMap nor Secret", from.Kind)
}

func (in *Inputs) decryption(ctx context.Context, reader client.Reader, key types.NamespacedName, h hash.Hash) error {
	var s corev1.Secret
	switch err := reader.Get(ctx, key, &s); {
	case apierrors.IsNotFound(err):
		return fmt.Errorf("decryption.secretRef: Secret '%s' not found; create it with the private keys: "+
			"kubectl -n %s create secret generic %s --from-file=identity.agekey=FILE", key, key.Namespace, key.Name)
	case err != nil:
		return fmt.Errorf("decryption.secretRef: read Secret '%s': %w", key, err)
	}
	keys, err := sops.ParseKeys(s.Data)
	if err != nil {
		return fmt.Errorf("decryption.secretRef: Secret '%s': %w", key, err)
	}
	in.Keys = keys
	data := make(map[string]string, len(s.Data))
	for name, value := range s.Data {
		data[name] = string(value)
		in.Mask.Add(string(value))
	}
	put(h, data)
	return nil
}

// put feeds pairs to a hash such that no two maps look alike.
func put(h hash.Hash, pairs map[string]string) {
	fmt.Fprintf(h, "%d\n", len(pairs))
	for _, name := range slices.Sorted(maps.Keys(pairs)) {
		fmt.Fprintf(h, "%d:%s=%d:%s\n", len(name), name, len(pairs[name]), pairs[name])
	}
}

package build

import (
	"fmt"
	"strings"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/kustomize/api/resmap"
	"sigs.k8s.io/kustomize/api/resource"
)

// objects turns what Kustomize has rendered into objects.
func (v *view) objects(rendered resmap.ResMap, sub *substitution, common *kustomizev1.CommonMetadata) ([]*unstructured.Unstructured, error) {
	resources := rendered.Resources()
	objects := make([]*unstructured.Unstructured, 0, len(resources))
	seen := make(map[string]struct{}, len(resources))
	var size int64
	for _, r := range resources {
		if err := v.ctx.Err(); err != nil {
			return nil, fmt.Errorf("build: %w", err)
		}
		content, err := v.content(r, sub)
		if err != nil {
			return nil, err
		}
		if size += int64(len(content)); size > v.limits.RenderedBytes {
			return nil, tooLarge("", "the objects take more than %d bytes; split the build into several Kustomizations", v.limits.RenderedBytes)
		}
		obj, err := decode(content, r)
		if err != nil {
			return nil, err
		}
		if err := v.checkDecrypted(obj); err != nil {
			return nil, err
		}
		if err := checkUnique(obj, seen); err != nil {
			return nil, err
		}
		setCommonMetadata(obj, common)
		objects = append(objects, obj)
	}
	return objects, nil
}

func (v *view) content(r *resource.Resource, sub *substitution) ([]byte, error) {
	content, err := r.MarshalJSON()
	if err != nil {
		return nil, &Error{
			Reason: ReasonBuildFailed, Object: resourceName(r),
			Message: "cannot be written as JSON; look for keys that are not strings", Err: err,
		}
	}
	if content, err = v.decryptSecret(r, content); err != nil {
		return nil, err
	}
	return sub.apply(r, content)
}

func decode(content []byte, r *resource.Resource) (*unstructured.Unstructured, error) {
	obj := &unstructured.Unstructured{}
	fail := func(format string, args ...any) (*unstructured.Unstructured, error) {
		return nil, &Error{Reason: ReasonBuildFailed, Object: resourceName(r), Message: fmt.Sprintf(format, args...)}
	}
	if err := utiljson.Unmarshal(content, &obj.Object); err != nil || obj.Object == nil {
		return fail("is not a Kubernetes object once it is built; check the patches and variables that change it")
	}
	for _, path := range [][]string{{"apiVersion"}, {"kind"}, {"metadata", "name"}} {
		name := strings.Join(path, ".")
		value, found, err := unstructured.NestedFieldNoCopy(obj.Object, path...)
		if err != nil || !found || value == nil || value == "" {
			return fail("has no %s once it is built; add it", name)
		}
		if _, ok := value.(string); !ok {
			return fail("its %s is not text but %T once it is built; put quotes around it "+
				"(when it comes from a variable, in the variable's value: '\"42\"')", name, value)
		}
	}
	for _, name := range []string{"labels", "annotations"} {
		if key, ok := firstNotText(obj, name); ok {
			return fail("the value of %s in metadata.%s must be text; put quotes around it "+
				"(when it comes from a variable, in the variable's value: '\"42\"')", key, name)
		}
	}
	return obj, nil
}

func firstNotText(obj *unstructured.Unstructured, field string) (string, bool) {
	value, found, err := unstructured.NestedFieldNoCopy(obj.Object, "metadata", field)
	if err != nil || !found || value == nil {
		return "", false
	}
	pairs, ok := value.(map[string]any)
	if !ok {
		return field, true
	}
	for key, value := range pairs {
		if _, ok := value.(string); !ok {
			return fmt.Sprintf("%q", key), true
		}
	}
	return "", false
}

// checkDecrypted refuses an object that is still encrypted. Without decryption only
// those of kinds that have no use for it are refused: there are controllers that
// decrypt objects of their own kinds in the cluster.
func (v *view) checkDecrypted(obj *unstructured.Unstructured) error {
	if !isEncrypted(obj) || staysEncrypted(obj.GetAnnotations()) {
		return nil
	}
	e := &Error{Reason: ReasonDecryptionFailed, Object: objectName(obj.GetKind(), obj.GetNamespace(), obj.GetName())}
	gvk := obj.GroupVersionKind()
	switch {
	case v.decryption != nil:
		e.Message = "is encrypted with SOPS, and not in a file of its own whose MAC could be verified; list the encrypted file under resources or patches"
	case gvk.Group == "" && (gvk.Kind == "Secret" || gvk.Kind == "ConfigMap"):
		e.Message = "is encrypted with SOPS; set spec.decryption with a Secret that has the private key, or keep it out of this path"
	default:
		return nil
	}
	return e
}

// isEncrypted says whether the object carries what SOPS leaves in a file that it encrypts.
func isEncrypted(obj *unstructured.Unstructured) bool {
	mac, found, err := unstructured.NestedString(obj.Object, "sops", "mac")
	return err == nil && found && mac != ""
}

// checkUnique refuses an object that is there twice. Versions of a kind count as one:
// the cluster stores one object.
func checkUnique(obj *unstructured.Unstructured, seen map[string]struct{}) error {
	gk := obj.GroupVersionKind().GroupKind()
	id := strings.Join([]string{gk.Group, gk.Kind, obj.GetNamespace(), obj.GetName()}, "\x00")
	if _, twice := seen[id]; twice {
		return &Error{
			Reason: ReasonBuildFailed, Object: objectName(obj.GetKind(), obj.GetNamespace(), obj.GetName()),
			Message: "is in the build twice; keep one of them",
		}
	}
	seen[id] = struct{}{}
	return nil
}

// setCommonMetadata sets spec.commonMetadata, which wins over what is there.
func setCommonMetadata(obj *unstructured.Unstructured, common *kustomizev1.CommonMetadata) {
	if common == nil {
		return
	}
	if len(common.Labels) > 0 {
		obj.SetLabels(merged(obj.GetLabels(), common.Labels))
	}
	if len(common.Annotations) > 0 {
		obj.SetAnnotations(merged(obj.GetAnnotations(), common.Annotations))
	}
}

func merged(have, set map[string]string) map[string]string {
	if have == nil {
		have = make(map[string]string, len(set))
	}
	for key, value := range set {
		have[key] = value
	}
	return have
}

func resourceName(r *resource.Resource) string {
	return objectName(r.GetKind(), r.GetNamespace(), r.GetName())
}

func objectName(kind, namespace, name string) string {
	if namespace == "" {
		return kind + "/" + name
	}
	return kind + "/" + namespace + "/" + name
}

package revision

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/slipway-dev/slipway/api/v1alpha1"
)

const (
	// maxCompressed is how large a content may be when it is compressed, in bytes: a Secret takes 1 MiB with all that is around it.
	maxCompressed = 900 << 10
	// maxContent is how large it may be before, in bytes.
	maxContent = 64 << 20

	// contentKey is the key of the Secret under which the content is.
	contentKey = "content"
	// contentPrefix begins the names of Secrets with content.
	contentPrefix = "module-content-"
	// LabelContent marks Secrets with content.
	LabelContent = "slipway.dev/content"
	// ContentType is the type of Secrets with content.
	ContentType corev1.SecretType = "slipway.dev/content"
)

var (
	// ErrTooLarge is returned for content that doesn't fit into a Secret.
	ErrTooLarge = errors.New("too large for a Secret")
	// ErrLost is returned where a Secret that a reference names isn't there any more.
	ErrLost = errors.New("the Secret with the content was deleted")
	// ErrCorrupt is returned for content that isn't what the reference says.
	ErrCorrupt = errors.New("the content isn't what it was")
)

// Put stores content in an immutable Secret that is named by it. The same content twice is stored once.
func (s *Store) Put(ctx context.Context, content []byte) (v1alpha1.ContentReference, error) {
	packed, err := s.compress(content)
	if err != nil {
		return v1alpha1.ContentReference{}, err
	}
	if len(content) > maxContent || len(packed) > maxCompressed {
		return v1alpha1.ContentReference{}, fmt.Errorf("store %d bytes (%d compressed): %w", len(content), len(packed), ErrTooLarge)
	}
	return s.put(ctx, content, packed)
}

func (s *Store) put(ctx context.Context, content, packed []byte) (v1alpha1.ContentReference, error) {
	digest := DigestOf(content)
	ref := v1alpha1.ContentReference{
		Secret: contentPrefix + strings.TrimPrefix(string(digest), "sha256:"), Digest: digest, Bytes: int64(len(content)),
	}
	err := s.client.Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: ref.Secret, Labels: map[string]string{LabelContent: "true"}},
		Type:       ContentType, Immutable: new(true), Data: map[string][]byte{contentKey: packed},
	})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return ref, fmt.Errorf("store content in Secret/%s/%s: %w", s.namespace, ref.Secret, err)
	}
	return ref, nil
}

// Get reads content. It is checked against the reference; what is larger than that says isn't read.
func (s *Store) Get(ctx context.Context, ref v1alpha1.ContentReference) ([]byte, error) {
	secret, key := &corev1.Secret{}, client.ObjectKey{Namespace: s.namespace, Name: ref.Secret}
	// What has this name has this content, always: the API server may answer from memory. It may not have heard of it yet.
	err := s.client.Get(ctx, key, secret, &client.GetOptions{Raw: &metav1.GetOptions{ResourceVersion: "0"}})
	if apierrors.IsNotFound(err) {
		err = s.client.Get(ctx, key, secret)
	}
	if apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("Secret/%s/%s: %w", s.namespace, ref.Secret, ErrLost) //nolint:staticcheck // a kind's name
	}
	if err != nil {
		return nil, fmt.Errorf("read content: %w", err)
	}
	content, err := decompress(secret.Data[contentKey], ref.Bytes)
	if err == nil && DigestOf(content) != ref.Digest {
		err = ErrCorrupt
	}
	if err != nil {
		return nil, fmt.Errorf("Secret/%s/%s: %w", s.namespace, ref.Secret, err) //nolint:staticcheck // a kind's name
	}
	return content, nil
}

// compress packs content. What that takes is large, and used again.
func (s *Store) compress(content []byte) ([]byte, error) {
	var out bytes.Buffer
	w, ok := s.packers.Get().(*gzip.Writer)
	if !ok {
		var err error
		if w, err = gzip.NewWriterLevel(&out, gzip.BestCompression); err != nil {
			return nil, fmt.Errorf("compress: %w", err)
		}
	}
	defer s.packers.Put(w)
	w.Reset(&out)
	if _, err := w.Write(content); err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	return out.Bytes(), nil
}

// decompress reads no more than it is told that there is.
func decompress(packed []byte, size int64) ([]byte, error) {
	if size < 0 || size > maxContent {
		return nil, fmt.Errorf("%d bytes: %w", size, ErrTooLarge)
	}
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	content, err := io.ReadAll(io.LimitReader(r, size+1))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	if int64(len(content)) != size {
		return nil, fmt.Errorf("%w: it has another size", ErrCorrupt)
	}
	return content, nil
}

// putObjects stores objects in as few Secrets as they fit into.
func (s *Store) putObjects(ctx context.Context, objects []*unstructured.Unstructured) ([]v1alpha1.ContentReference, error) {
	content, err := contentOf(objects)
	if err != nil {
		return nil, fmt.Errorf("write objects as JSON: %w", err)
	}
	packed, err := s.compress(content)
	if err != nil {
		return nil, err
	}
	if len(content) <= maxContent && len(packed) <= maxCompressed {
		ref, err := s.put(ctx, content, packed)
		return []v1alpha1.ContentReference{ref}, err
	}
	if len(objects) == 1 {
		return nil, fmt.Errorf("store %s/%s: %w", objects[0].GetKind(), objects[0].GetName(), ErrTooLarge)
	}
	var refs []v1alpha1.ContentReference
	for _, half := range [][]*unstructured.Unstructured{objects[:len(objects)/2], objects[len(objects)/2:]} {
		more, err := s.putObjects(ctx, half)
		if err != nil {
			return nil, err
		}
		refs = append(refs, more...)
	}
	return refs, nil
}

// getObjects reads what putObjects has stored.
func (s *Store) getObjects(ctx context.Context, refs []v1alpha1.ContentReference) ([]*unstructured.Unstructured, error) {
	var all []*unstructured.Unstructured
	for _, ref := range refs {
		content, err := s.Get(ctx, ref)
		if err != nil {
			return nil, err
		}
		var list []map[string]any
		if err := utiljson.Unmarshal(content, &list); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
		for _, fields := range list {
			all = append(all, &unstructured.Unstructured{Object: fields})
		}
	}
	return all, nil
}

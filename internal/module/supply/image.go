package supply

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/slipway-dev/slipway/api/v1alpha1"
	"github.com/slipway-dev/slipway/internal/module/pack"
	"github.com/slipway-dev/slipway/internal/module/plan"
	"github.com/slipway-dev/slipway/internal/module/wanted"
	"github.com/slipway-dev/slipway/internal/source"
	"github.com/slipway-dev/slipway/internal/source/oci"
)

// ImageChoice is a version of an image.
type ImageChoice struct {
	Version string
	// Digest of the image. Empty: what runs stays.
	Digest v1alpha1.Digest
	// Published is when the image says that it was made. The zero time: it doesn't say, or nobody asked.
	Published time.Time
	// Why this one, for people.
	Why string
}

// Image says which version of an image is wanted, of those that its repository has as tags: what runs is image, in the version of current.
// Only what comes from the same repository can be chosen. A catalogue may bind a version to its bytes, as VERSION@sha256:…; then no registry is
// asked, but for a signature: where the agent has a policy of whose signature packages must have, its own image needs one as well. Errors are as of
// Choose and Fetch.
func (s *Shelf) Image(ctx context.Context, m *v1alpha1.Module, image string, current v1alpha1.RevisionReference) (ImageChoice, error) {
	choice, err := s.image(ctx, m, image, current)
	if err == nil && choice.Digest != "" && choice.Digest != current.Digest && s.Verify != nil {
		err = s.signed(ctx, m, image, choice)
	}
	if err != nil {
		return ImageChoice{}, translated(err)
	}
	return choice, nil
}

// signed looks for a signature that the agent's policy trusts.
func (s *Shelf) signed(ctx context.Context, m *v1alpha1.Module, image string, choice ImageChoice) error {
	r, err := s.registryOf(ctx, m, image)
	if err != nil {
		return err
	}
	defer r.Close()
	if _, err := pack.CheckSignature(ctx, r.request.URL, choice.Digest, r.request.Auth, r.request.Insecure, s.Verify); err != nil {
		return fmt.Errorf("the agent's image %s: %w", choice.Version, err)
	}
	return nil
}

func (s *Shelf) image(ctx context.Context, m *v1alpha1.Module, image string, current v1alpha1.RevisionReference) (ImageChoice, error) {
	question := wanted.Question{Range: m.Spec.Version, Current: &current, Upgrade: m.Spec.Upgrade, Now: s.Now()}
	if c := m.Spec.Catalogue; c != nil {
		says, err := s.catalogued(ctx, m, *c)
		if err != nil {
			return ImageChoice{}, err
		}
		version, digest, bound := strings.Cut(says, "@")
		if question.Catalogued = version; bound {
			return named(question, digest)
		}
	}
	r, err := s.registryOf(ctx, m, image)
	if err != nil {
		return ImageChoice{}, err
	}
	defer r.Close()
	tags, err := s.catalogues.registry.Tags(ctx, r.request)
	if err != nil {
		return ImageChoice{}, unanswered("list the tags of the agent's image", err)
	}
	for _, tag := range tags {
		question.Available = append(question.Available, wanted.Version{Version: tag})
	}
	return r.choose(ctx, question)
}

// named is what a catalogue binds to its bytes.
func named(question wanted.Question, digest string) (ImageChoice, error) {
	if !regexp.MustCompile(`^sha256:[0-9a-f]{64}$`).MatchString(digest) {
		return ImageChoice{}, errors.New("the catalogue says a digest that is none: write VERSION@sha256: with 64 digits, or the version alone")
	}
	question.Unlisted = true
	choice := wanted.Choose(question)
	if choice.Problem != "" {
		return ImageChoice{}, errors.New(choice.Problem)
	}
	if u := question.Upgrade; u != nil && u.Policy == v1alpha1.UpgradeNever {
		digest = "" // what runs stays
	}
	return ImageChoice{Version: choice.Version, Digest: v1alpha1.Digest(digest), Why: choice.Why}, nil
}

// imageRegistry is where an image comes from.
type imageRegistry struct {
	*oci.Repository
	request oci.Request
}

func (s *Shelf) registryOf(ctx context.Context, m *v1alpha1.Module, image string) (*imageRegistry, error) {
	address, _, err := oci.ImageAddress(image)
	if err != nil {
		return nil, err
	}
	auth := oci.Auth{}
	if b := m.Spec.Source.Builtin; b != nil && b.SecretRef != nil {
		data, err := s.Secret(ctx, m, b.SecretRef.Name)
		if err != nil {
			return nil, err
		}
		if auth, err = oci.AuthFromSecrets(oci.Secrets{Pull: []map[string][]byte{data}}); err != nil {
			return nil, fmt.Errorf("the Secret %s can't be used: %w", b.SecretRef.Name, err)
		}
	}
	u, err := url.Parse(address)
	insecure := err == nil && slices.Contains(s.Insecure, u.Host)
	repository, err := oci.OpenRepository(address, auth, insecure)
	if err != nil {
		return nil, err
	}
	return &imageRegistry{repository, oci.Request{URL: address, Auth: auth, Insecure: insecure}}, nil
}

// choose chooses a tag, and finds what it points at. Images that are too young are found out one by one, as only an image says its age.
func (r *imageRegistry) choose(ctx context.Context, question wanted.Question) (ImageChoice, error) {
	choice := wanted.Choose(question)
	var made time.Time
	for range maxLooks {
		at := slices.IndexFunc(question.Available, func(v wanted.Version) bool { return v.Version == choice.Version })
		if choice.Problem != "" || at < 0 || question.Upgrade == nil || question.Upgrade.MinAge == nil || !question.Available[at].Published.IsZero() {
			break
		}
		digest, err := r.Resolve(ctx, choice.Version)
		if err != nil {
			return ImageChoice{}, unanswered("look at the agent's image "+choice.Version, err)
		}
		if made = r.made(ctx, digest.Digest); made.IsZero() {
			break // it never comes of age
		}
		question.Available[at].Published = made
		choice = wanted.Choose(question)
	}
	if choice.Problem != "" {
		return ImageChoice{}, errors.New(choice.Problem)
	}
	out := ImageChoice{Version: choice.Version, Why: choice.Why}
	if strings.TrimPrefix(choice.Version, "v") == strings.TrimPrefix(question.Current.Version, "v") {
		return out, nil // a tag that was moved is no other version
	}
	found, err := r.Resolve(ctx, choice.Version)
	if err != nil {
		return ImageChoice{}, unanswered("find the agent's image "+choice.Version, err)
	}
	out.Digest = v1alpha1.Digest(found.Digest.String())
	if at := slices.IndexFunc(question.Available, func(v wanted.Version) bool { return v.Version == choice.Version }); at >= 0 {
		out.Published = question.Available[at].Published
	}
	return out, nil
}

// maxConfig bounds what is read of an image's configuration, in bytes.
const maxConfig = 1 << 20

// made is when an image says that it was made. An image that is built in the same bytes each time says the beginning of all time, or nothing.
func (r *imageRegistry) made(ctx context.Context, digest v1.Hash) time.Time {
	var manifest struct {
		Config    v1.Descriptor   `json:"config"`
		Manifests []v1.Descriptor `json:"manifests"`
	}
	for range 2 { // an index, and one of its images
		content, err := r.Manifest(ctx, digest)
		if err != nil || json.Unmarshal(content, &manifest) != nil {
			return time.Time{}
		}
		if len(manifest.Manifests) == 0 {
			break
		}
		digest = manifest.Manifests[0].Digest
	}
	blob, err := r.Blob(ctx, manifest.Config.Digest)
	if err != nil {
		return time.Time{}
	}
	defer blob.Close()
	var config struct {
		Created time.Time `json:"created"`
	}
	content, err := io.ReadAll(io.LimitReader(blob, maxConfig))
	if err != nil || json.Unmarshal(content, &config) != nil || config.Created.Unix() <= 0 {
		return time.Time{}
	}
	return config.Created
}

// unanswered is an error of a registry, which may have an answer later. Only what exceeds a bound lasts.
func unanswered(doing string, err error) error {
	err = fmt.Errorf("%s: %w", doing, err)
	var typed *source.Error
	if errors.As(err, &typed) && typed.Reason == source.ReasonLimitExceeded {
		return err
	}
	return &plan.Unavailable{Err: err}
}

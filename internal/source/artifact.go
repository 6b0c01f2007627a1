package source

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	sourcev1 "github.com/fluxcd/source-controller/api/v1"

	"github.com/slipway-dev/slipway/internal/telemetry"
)

// ArtifactRequest is what the status of an object says of the archive that another controller made.
type ArtifactRequest struct {
	// URL is http:// or https://.
	URL string
	// Digest is "ALGORITHM:<hex>" of what the URL gives: sha256, sha384 or sha512.
	Digest string
	// Revision is what the snapshot gets.
	Revision string
	// Limits bound the download; zero fields mean defaults.
	Limits Limits
}

// Artifacts downloads archives that other controllers made into a store. It is safe for concurrent use.
type Artifacts struct {
	store   *Store
	client  *http.Client
	flights *flights
}

const (
	maxRedirects   = 5
	connectTimeout = 10 * time.Second
	answerTimeout  = 30 * time.Second // to the headers; the rest takes as long as the context allows
)

// NewArtifacts returns a downloader that keeps what it fetches in store.
func NewArtifacts(store *Store) *Artifacts {
	return &Artifacts{
		store: store,
		client: &http.Client{
			Transport: &http.Transport{
				Proxy:               http.ProxyFromEnvironment,
				DialContext:         (&net.Dialer{Timeout: connectTimeout}).DialContext,
				TLSHandshakeTimeout: connectTimeout, ResponseHeaderTimeout: answerTimeout, IdleConnTimeout: time.Minute,
				MaxResponseHeaderBytes: 1 << 20,
				// The digest is that of the bytes as they are stored.
				DisableCompression: true,
			},
			CheckRedirect: func(_ *http.Request, via []*http.Request) error {
				if len(via) > maxRedirects {
					return errors.New("it redirects too often")
				}
				return nil
			},
		},
		flights: &flights{byKey: map[string]*flight{}},
	}
}

// Close gives up the kept connections.
func (a *Artifacts) Close() { a.client.CloseIdleConnections() }

// Fetch returns what an artifact is, all of it: its maker has left out what should be. Nothing is asked for when an archive of that
// digest is in the store. The digest is checked before anything is unpacked, and [Store.Get] knows the snapshot by it from then on.
// The timeout is ctx's. Errors are *[Error]; their texts don't hold what the server sent.
func (a *Artifacts) Fetch(ctx context.Context, req ArtifactRequest) (*Snapshot, error) {
	if req.Digest == "" {
		return nil, failf(ReasonContentInvalid, "status.artifact has no digest, so there is no telling what is downloaded: have its controller write one")
	}
	if snap, ok := a.store.Recall(archiveKey(req.Digest)); ok {
		return snap.At(req.Revision), nil
	}
	address, err := url.Parse(req.URL)
	if err != nil || address.Host == "" || address.Scheme != "http" && address.Scheme != "https" {
		return nil, failf(ReasonURLInvalid, "status.artifact.url is no http:// or https:// address: have its controller correct it")
	}
	limits := req.Limits.withDefaults()
	// A digest stands for the same content at any time, so it doesn't matter when the server is asked.
	anyTime := time.Time{}
	snap, err := a.flights.do(ctx, fmt.Sprint(req.URL, "\x00", req.Digest, "\x00", limits), anyTime, func(ctx context.Context) (*Snapshot, time.Time, error) {
		snap, err := a.download(ctx, address, req.Digest, limits)
		return snap, anyTime, err
	})
	if err != nil {
		return nil, downloadError(err, address)
	}
	return snap.At(req.Revision), nil
}

func (a *Artifacts) download(ctx context.Context, address *url.URL, digest string, limits Limits) (*Snapshot, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address.String(), nil)
	if err != nil {
		return nil, err
	}
	response, err := a.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, failf(ReasonDownloadFailed, "%s answers %d %s: check the controller that made the artifact", address.Redacted(), response.StatusCode, http.StatusText(response.StatusCode))
	}
	received, err := a.store.Receive(ctx, telemetry.Receiving(ctx, response.Body), digest, limits)
	if err != nil {
		return nil, err
	}
	defer received.Discard()
	snap, err := received.Unpack(ctx, UnpackOptions{KeepAll: true})
	if err != nil {
		return nil, err
	}
	return snap, a.store.RememberArchive(digest, snap)
}

// ReasonDownloadFailed tells that the server of an artifact couldn't be reached, or doesn't have it.
const ReasonDownloadFailed = sourcev1.FetchFailedCondition

func downloadError(err error, address *url.URL) error {
	var typed *Error
	switch {
	case errors.As(err, &typed):
		return typed
	case errors.Is(err, context.DeadlineExceeded):
		return failf(ReasonDownloadFailed, "%s didn't answer in time (%w): check the controller that made the artifact", address.Redacted(), context.DeadlineExceeded)
	case errors.Is(err, context.Canceled):
		return failf(ReasonDownloadFailed, "download from %s was cancelled: %w", address.Redacted(), context.Canceled)
	}
	var wrapped *url.Error // it would say the address again
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	password, _ := address.User.Password()
	return failf(ReasonDownloadFailed, "download from %s: %w: check the controller that made the artifact", address.Redacted(), quote(err, spellings(password)))
}

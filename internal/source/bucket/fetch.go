package bucket

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/minio/minio-go/v7"
	"golang.org/x/sync/errgroup"

	"github.com/slipway-dev/slipway/internal/source"
)

const (
	// ignoreFile is the object with ignore rules, at the root of the bucket whatever the prefix.
	ignoreFile = ".sourceignore"
	// maxRules bounds it, in bytes.
	maxRules = 1 << 20
	// seenPerFile is how many objects are looked at for each one that may be kept.
	seenPerFile = 10
)

// Fetch returns what is in the bucket now. previous is the digest of the snapshot that was fetched last, or empty: what has not changed
// since is not asked for. A bucket that is as it was costs one request for each thousand objects, and one more where there is a prefix.
// Errors are *source.Error.
func (f *Fetcher) Fetch(ctx context.Context, req Request, previous string) (*source.Snapshot, error) {
	if err := checkEndpoint(req.Endpoint); err != nil {
		return nil, err
	}
	req.Limits = req.Limits.WithDefaults()
	c, err := f.client(req)
	if err != nil {
		return nil, err
	}
	found, err := c.list(ctx, req)
	if err != nil {
		return nil, classify(ctx, err, req)
	}
	key := req.recallKey(found.revision())
	if snapshot, ok := f.store.Recall(key); ok {
		return snapshot, nil
	}
	draft := f.store.NewDraft(req.Limits)
	defer draft.Discard()
	old, _ := f.store.Get(previous)
	if found, err = c.download(ctx, req, found, draft, old); err != nil {
		return nil, classify(ctx, err, req)
	}
	snapshot, err := draft.Snapshot(found.revision())
	if err != nil {
		return nil, err
	}
	if err := f.store.Remember(req.recallKey(found.revision()), snapshot); err != nil {
		return nil, err
	}
	return snapshot, nil
}

// list asks what is there and leaves out what rules leave out.
func (c *client) list(ctx context.Context, req Request) (index, error) {
	var (
		all    = map[string]minio.ObjectInfo{}
		most   = req.Limits.MaxFiles * seenPerFile
		google = strings.HasSuffix(strings.Split(req.Endpoint, ":")[0], ".googleapis.com")
	)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	for object := range c.ListObjectsIter(ctx, req.Name, minio.ListObjectsOptions{Recursive: true, Prefix: req.Prefix, UseV1: google}) {
		if object.Err != nil {
			return nil, object.Err
		}
		if len(all) >= most {
			return nil, &source.Error{Reason: source.ReasonLimitExceeded, Err: &source.LimitError{
				Limit: "MaxFiles*10", Value: int64(most), What: "the number of objects, the ignored ones included,",
				Advice: "split the bucket, set spec.prefix, or raise the limit with the agent's --source-limits",
			}}
		}
		if !strings.HasSuffix(object.Key, "/") { // a folder is an object of that name in some tools
			all[object.Key] = object
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	_, has := all[ignoreFile]
	text, err := c.readRules(ctx, req, has, all[ignoreFile].ETag)
	if err != nil {
		return nil, err
	}
	return keep(req, all, text)
}

// keep picks what becomes a file.
func keep(req Request, all map[string]minio.ObjectInfo, rules []byte) (index, error) {
	filter := source.NewBareFilter(req.Ignore)
	if len(rules) > 0 {
		filter.Read(ignoreFile, rules)
	}
	excluded, err := filter.Excludes()
	if err != nil {
		return nil, err
	}
	found := index{}
	var total int64
	for key, object := range all {
		if key == ignoreFile || excluded(key) {
			continue
		}
		if err := checkKey(key); err != nil {
			return nil, err
		}
		total += max(object.Size, 0)
		exceeded := &source.LimitError{Advice: "leave it out with spec.ignore or a .sourceignore file, or raise the limit with the agent's --source-limits"}
		switch limits := req.Limits; {
		case object.Size > limits.MaxFileBytes:
			exceeded.Limit, exceeded.Value, exceeded.Got, exceeded.What = "MaxFileBytes", limits.MaxFileBytes, object.Size, shorten(key)
		case total > limits.MaxTreeBytes:
			exceeded.Limit, exceeded.Value, exceeded.What = "MaxTreeBytes", limits.MaxTreeBytes, "the sum of all files"
		case len(found) >= limits.MaxFiles:
			exceeded.Limit, exceeded.Value, exceeded.What = "MaxFiles", int64(limits.MaxFiles), "the number of files"
		default:
			found[key] = object.ETag
			continue
		}
		return nil, &source.Error{Reason: source.ReasonLimitExceeded, Err: exceeded}
	}
	return found, nil
}

// readRules returns the bucket's .sourceignore, from memory if it is as it was. Where the list can't tell whether there is one, because of
// a prefix, the server is asked.
func (c *client) readRules(ctx context.Context, req Request, listed bool, etag string) ([]byte, error) {
	c.mu.Lock()
	known := c.rules
	c.mu.Unlock()
	options := minio.GetObjectOptions{}
	switch visible := strings.HasPrefix(ignoreFile, req.Prefix); {
	case visible && !listed:
		return nil, nil
	case visible && known.etag == etag:
		return known.text, nil
	case !visible && known.etag != "":
		if err := options.SetMatchETagExcept(known.etag); err != nil {
			return nil, err
		}
	}
	body, info, _, err := c.GetObject(ctx, req.Name, ignoreFile, options)
	switch said := answer(err); {
	case err == nil:
	case said.Code == minio.NoSuchKey:
		return nil, nil
	case said.StatusCode == http.StatusNotModified:
		return known.text, nil
	default:
		return nil, err
	}
	defer body.Close()
	text, err := io.ReadAll(io.LimitReader(body, maxRules+1)) // one that is too long is refused by its length
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rules = rules{etag: info.ETag, text: text}
	return text, nil
}

// download puts what the index names into draft, asking only for what old doesn't have. It returns the index as it turned out: an object
// may have changed, or gone, since the list was made.
func (c *client) download(ctx context.Context, req Request, wanted index, draft *source.Draft, old *source.Snapshot) (index, error) {
	var (
		mu    sync.Mutex
		found = make(index, len(wanted))
	)
	group, going := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for key, etag := range wanted {
		if going.Err() != nil {
			break
		}
		group.Go(func() error {
			got, there, err := c.object(going, req, key, etag, draft, old)
			if err != nil || !there {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			found[key] = got
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return found, ctx.Err()
}

// object puts one object into draft and returns its entity tag. It is false where there is none any more.
func (c *client) object(ctx context.Context, req Request, key, etag string, draft *source.Draft, old *source.Snapshot) (string, bool, error) {
	if had, err := draft.Reuse(old, key, req.origin(etag)); had || err != nil {
		return etag, true, err
	}
	body, info, _, err := c.GetObject(ctx, req.Name, key, minio.GetObjectOptions{})
	if answer(err).Code == minio.NoSuchKey {
		return "", false, nil
	}
	if err != nil {
		return "", false, fmt.Errorf("get %s: %w", shorten(key), err)
	}
	defer body.Close()
	var content io.Reader = body
	if info.Size == 0 {
		content = bytes.NewReader(nil)
	}
	if err := draft.File(ctx, key, 0o644, req.origin(info.ETag), content); err != nil {
		return "", false, err
	}
	return info.ETag, true, nil
}

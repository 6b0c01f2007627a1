package cli

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/fluxcd/pkg/apis/meta"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
)

// maxArtifact bounds what is downloaded and unpacked for one artifact, in bytes.
const maxArtifact = 1 << 30

// fetchArtifact downloads an artifact, proves its digest and unpacks it in dir.
func (c *cluster) fetchArtifact(ctx context.Context, artifact *meta.Artifact, dir string) error {
	address, err := url.Parse(artifact.URL)
	if err != nil {
		return fmt.Errorf("the artifact's address is no URL")
	}
	client := &http.Client{}
	if pod, namespace, ok := podOf(address.Hostname()); ok {
		dial, stop, err := c.dialPod(ctx, namespace, pod, address.Port())
		if err != nil {
			return err
		}
		defer stop()
		client.Transport = &http.Transport{DialContext: dial}
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address.String(), nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", address.Redacted(), response.Status)
	}
	data, err := io.ReadAll(io.LimitReader(response.Body, maxArtifact))
	if err != nil {
		return err
	}
	sum := sha256.Sum256(data)
	if got := "sha256:" + hex.EncodeToString(sum[:]); got != artifact.Digest {
		return fmt.Errorf("the artifact has the digest %s, its source says %s", got, artifact.Digest)
	}
	return unpack(bytes.NewReader(data), dir)
}

// podOf reads the pod and the namespace from the name that the agent advertises: pod.service.namespace.svc.cluster.local.
func podOf(host string) (pod, namespace string, ok bool) {
	parts := strings.Split(strings.TrimSuffix(host, "."), ".")
	if len(parts) < 4 || parts[3] != "svc" {
		return "", "", false
	}
	return parts[0], parts[2], true
}

// dialPod opens a way to a port of a pod through the API server, as 'kubectl port-forward' does: a person's machine isn't in the
// cluster's network, and network policies don't count for it.
func (c *cluster) dialPod(ctx context.Context, namespace, pod, port string) (
	dial func(context.Context, string, string) (net.Conn, error), stop func(), err error,
) {
	clientset, err := kubernetes.NewForConfig(c.config)
	if err != nil {
		return nil, nil, err
	}
	transport, upgrader, err := spdy.RoundTripperFor(c.config)
	if err != nil {
		return nil, nil, err
	}
	address := clientset.CoreV1().RESTClient().Post().Namespace(namespace).Resource("pods").Name(pod).SubResource("portforward").URL()
	var (
		stopped = make(chan struct{})
		ready   = make(chan struct{})
		ended   = make(chan struct{})
		failure error // may be read once ended is closed
	)
	forwarder, err := portforward.NewOnAddresses(
		spdy.NewDialer(upgrader, &http.Client{Transport: transport}, http.MethodPost, address),
		[]string{"127.0.0.1"}, []string{"0:" + port}, stopped, ready, io.Discard, io.Discard)
	if err != nil {
		return nil, nil, err
	}
	go func() {
		defer close(ended)
		failure = forwarder.ForwardPorts()
	}()
	stop = func() { close(stopped); <-ended }
	select {
	case <-ended:
		return nil, nil, fmt.Errorf("reach pod %s/%s: %w", namespace, pod, failure)
	case <-ctx.Done():
		stop()
		return nil, nil, ctx.Err()
	case <-ready:
	}
	ports, err := forwarder.GetPorts()
	if err != nil {
		stop()
		return nil, nil, fmt.Errorf("reach pod %s/%s: %w", namespace, pod, err)
	}
	local := fmt.Sprintf("127.0.0.1:%d", ports[0].Local)
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", local)
	}, stop, nil
}

// unpack writes the files of a tar.gz below dir, and nothing outside of it.
func unpack(archive io.Reader, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }() // nothing is written through it itself
	unzipped, err := gzip.NewReader(archive)
	if err != nil {
		return fmt.Errorf("unpack artifact: %w", err)
	}
	left := int64(maxArtifact)
	for content := tar.NewReader(unzipped); ; {
		header, err := content.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("unpack artifact: %w", err)
		}
		if left -= header.Size; left < 0 {
			return fmt.Errorf("unpack artifact: it is larger than %d bytes", int64(maxArtifact))
		}
		if err := unpackOne(root, header, content); err != nil {
			return fmt.Errorf("unpack artifact: %w", err)
		}
	}
}

func unpackOne(root *os.Root, header *tar.Header, content io.Reader) error {
	name := filepath.FromSlash(header.Name)
	switch header.Typeflag {
	case tar.TypeDir:
		return root.MkdirAll(name, 0o755)
	case tar.TypeReg:
		if err := root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		file, err := root.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o644)
		if err != nil {
			return err
		}
		_, err = io.Copy(file, content)
		return errors.Join(err, file.Close())
	case tar.TypeSymlink:
		if err := root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		return root.Symlink(header.Linkname, name)
	default:
		return nil // nothing that a build could read
	}
}

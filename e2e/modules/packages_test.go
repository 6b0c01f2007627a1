package modules

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"text/template"

	"github.com/slipway-dev/slipway/internal/image"
	"github.com/slipway-dev/slipway/internal/lab/gitserver"
)

// upstream asks tools/upstream for a program of another project, or for the folder of its module.
func upstream(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"run", "-C", filepath.Join("..", "..", "tools"), "./upstream"}, args...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("upstream %s: %v", strings.Join(args, " "), err)
	}
	return strings.TrimSpace(string(out))
}

// push makes an image of a program, brings it into the lab's registry and returns the name by which pods know it.
func push(t *testing.T, registry, name, binary string) string {
	t.Helper()
	ref := registry + "/third/" + name
	tag, err := image.ParseTag(ref)
	if err != nil {
		t.Fatal(err)
	}
	img, err := image.Build(image.Spec{Binary: binary})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := image.Push(t.Context(), registry, tag, img); err != nil {
		t.Fatal(err)
	}
	return ref
}

// packaged is what a person writes around a project's own manifests to make a package of them.
type packaged struct {
	// project is a folder of testdata.
	project string
	// manifests is the folder of the project's module that has them.
	manifests string
	Version   string
	Image     string
	Soak      string
	Deadline  string
	// Selector of its Deployment's pods, in the place of the project's own. Default: the project's own.
	Selector string
}

// files are the package's: the project's manifests as they are in upstream/, and testdata's templates around them.
func (p packaged) files(t *testing.T, source string) map[string]string {
	t.Helper()
	files, err := gitserver.Files(os.DirFS(filepath.Join(source, p.manifests)), "manifests/upstream")
	if err != nil {
		t.Fatal(err)
	}
	own := os.DirFS(filepath.Join("testdata", p.project))
	err = fs.WalkDir(own, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := fs.ReadFile(own, path)
		if err != nil {
			return err
		}
		text, err := template.New(path).Option("missingkey=error").Parse(string(content))
		if err != nil {
			return err
		}
		var out bytes.Buffer
		if err := text.Execute(&out, p); err != nil {
			return err
		}
		files[path] = out.String()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// publish commits a package to a repository of its own and tags the commit with its version.
func publish(t *testing.T, repo *gitserver.Repo, files map[string]string, version string) {
	t.Helper()
	commit, err := repo.Commit(t.Context(), files, fmt.Sprintf("%s %s", repo.Name(), version))
	if err != nil {
		t.Fatal(err)
	}
	if err := repo.Tag(t.Context(), "v"+version, commit, ""); err != nil {
		t.Fatal(err)
	}
}

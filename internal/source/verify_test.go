package source_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/packet"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"

	"github.com/slipway-dev/slipway/internal/source"
)

func keysOf(t testing.TB, authors ...author) source.SigningKeys {
	t.Helper()
	data := map[string][]byte{}
	for i, a := range authors {
		data[string(rune('a'+i))+a.entry] = a.public
	}
	keys, err := source.SigningKeysFromSecret(data)
	must(t, err)
	return keys
}

func TestVerify(t *testing.T) {
	t.Parallel()
	pgp, sshKey, other := pgpAuthor(t, nil), sshAuthor(t, "git"), sshAuthor(t, "git")
	file := sshAuthor(t, "file")
	old := pgpAuthor(t, &packet.Config{Time: func() time.Time { return time.Now().Add(-48 * time.Hour) }, KeyLifetimeSecs: 3600})
	tag := &sourcev1.GitRepositoryRef{Tag: "v1.0.0"}
	head, tags, both := sourcev1.ModeGitHEAD, sourcev1.ModeGitTag, sourcev1.ModeGitTagAndHEAD
	cases := map[string]struct {
		reason string
		make   func(*repo)
		ref    *sourcev1.GitRepositoryRef
		mode   sourcev1.GitVerificationMode
		keys   []author
		want   string   // the reason; empty: it is verified
		says   []string // in the signatures, or in the error
	}{
		"PGPCommit":    {reason: "a commit that a known PGP key signed", make: func(r *repo) { r.signHead(pgp) }, keys: []author{sshKey, pgp}, says: []string{"commit ", pgp.name}},
		"SSHCommit":    {reason: "a commit that a known SSH key signed", make: func(r *repo) { r.signHead(sshKey) }, mode: head, keys: []author{pgp, other, sshKey}, says: []string{"commit ", sshKey.name}},
		"NoSignature":  {reason: "an unsigned commit", make: func(*repo) {}, keys: []author{pgp}, want: "InvalidCommitSignature", says: []string{"isn't signed"}},
		"OtherSSHKey":  {reason: "a signature of a stranger, who is named", make: func(r *repo) { r.signHead(sshKey) }, keys: []author{other}, want: "InvalidCommitSignature", says: []string{sshKey.name[len("SSH "):]}},
		"OtherPGPKey":  {reason: "a signature of a stranger", make: func(r *repo) { r.signHead(pgp) }, keys: []author{old}, want: "InvalidCommitSignature", says: []string{"no PGP key"}},
		"NoPGPKey":     {reason: "the Secret has keys of the other kind only", make: func(r *repo) { r.signHead(pgp) }, keys: []author{sshKey}, want: "InvalidCommitSignature", says: []string{".asc"}},
		"NoSSHKey":     {reason: "the Secret has keys of the other kind only", make: func(r *repo) { r.signHead(sshKey) }, keys: []author{pgp}, want: "InvalidCommitSignature", says: []string{".sshpub"}},
		"ExpiredKey":   {reason: "an expired key proves nothing any more", make: func(r *repo) { r.signHead(old) }, keys: []author{old}, want: "InvalidCommitSignature", says: []string{"expired"}},
		"OtherPurpose": {reason: "a signature that was made for a file isn't one of a commit", make: func(r *repo) { r.signHead(file) }, keys: []author{file}, want: "InvalidCommitSignature", says: []string{"namespace"}},
		"Moved": {reason: "a signature of another commit", make: func(r *repo) {
			signed := r.git("cat-file", "commit", r.signHead(sshKey)) + "\n"
			r.replaceHead(strings.Replace(signed, "\n\n", "\n\nnot ", 1))
		}, keys: []author{sshKey}, want: "InvalidCommitSignature", says: []string{"is wrong"}},
		"TwoSignatures": {reason: "which one would count? None", make: func(r *repo) {
			raw := r.git("cat-file", "commit", "HEAD") + "\n"
			r.replaceHead(withSignature(withSignature(raw, sshKey.sign(raw)), other.sign(raw)))
		}, keys: []author{sshKey}, want: "InvalidCommitSignature", says: []string{"more than one"}},
		"X509": {reason: "X.509 is named", make: func(r *repo) {
			r.replaceHead(withSignature(r.git("cat-file", "commit", "HEAD")+"\n", "-----BEGIN SIGNED MESSAGE-----\nAA==\n-----END SIGNED MESSAGE-----\n"))
		}, keys: []author{sshKey}, want: "InvalidCommitSignature", says: []string{"X.509"}},
		"Nonsense": {reason: "what is no signature", make: func(r *repo) {
			r.replaceHead(withSignature(r.git("cat-file", "commit", "HEAD")+"\n", "-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----\n"))
		}, keys: []author{sshKey}, want: "InvalidCommitSignature", says: []string{"malformed"}},

		"PGPTag":         {reason: "a tag that a known key signed, whatever the commit", make: func(r *repo) { r.signedTag(pgp, "v1.0.0", "refs/tags/v1.0.0") }, ref: tag, mode: tags, keys: []author{pgp}, says: []string{"tag v1.0.0 ", pgp.name}},
		"SSHTag":         {reason: "the same with SSH, found by its range", make: func(r *repo) { r.signedTag(sshKey, "v1.0.0", "refs/tags/v1.0.0") }, ref: &sourcev1.GitRepositoryRef{SemVer: "1.x"}, mode: tags, keys: []author{sshKey}, says: []string{"tag v1.0.0 ", sshKey.name}},
		"TagByName":      {reason: "a full reference to a tag is a tag", make: func(r *repo) { r.signedTag(sshKey, "v1.0.0", "refs/tags/v1.0.0") }, ref: &sourcev1.GitRepositoryRef{Name: "refs/tags/v1.0.0"}, mode: tags, keys: []author{sshKey}, says: []string{sshKey.name}},
		"LightTag":       {reason: "a tag without an object can't be signed", make: func(r *repo) { r.signHead(pgp); r.git("tag", "v1.0.0") }, ref: tag, mode: tags, keys: []author{pgp}, want: "InvalidGitObject", says: []string{"not annotated"}},
		"UnsignedTag":    {reason: "an annotated tag that isn't signed", make: func(r *repo) { r.git("tag", "-a", "-m", "x", "v1.0.0") }, ref: tag, mode: tags, keys: []author{pgp}, want: "InvalidGitObject", says: []string{"isn't signed"}},
		"StrangersTag":   {reason: "a stranger's tag", make: func(r *repo) { r.signedTag(other, "v1.0.0", "refs/tags/v1.0.0") }, ref: tag, mode: tags, keys: []author{sshKey}, want: "InvalidTagSignature", says: []string{other.name[len("SSH "):]}},
		"RenamedTag":     {reason: "an old signed tag that is shown as a new one", make: func(r *repo) { r.signedTag(sshKey, "v0.9.0", "refs/tags/v1.0.0") }, ref: tag, mode: tags, keys: []author{sshKey}, want: "InvalidTagSignature", says: []string{"v0.9.0"}},
		"TagOfABranch":   {reason: "a branch has no tag", make: func(r *repo) { r.signHead(pgp) }, mode: tags, keys: []author{pgp}, want: "InvalidVerificationMode", says: []string{"spec.ref"}},
		"Both":           {reason: "tag and commit, by two people", make: func(r *repo) { r.signHead(pgp); r.signedTag(sshKey, "v1.0.0", "refs/tags/v1.0.0") }, ref: tag, mode: both, keys: []author{pgp, sshKey}, says: []string{"tag ", sshKey.name, "commit ", pgp.name}},
		"BothButCommit":  {reason: "a signed tag of an unsigned commit", make: func(r *repo) { r.signedTag(sshKey, "v1.0.0", "refs/tags/v1.0.0") }, ref: tag, mode: both, keys: []author{sshKey}, want: "InvalidCommitSignature"},
		"BothButTag":     {reason: "an unsigned tag of a signed commit", make: func(r *repo) { r.signHead(sshKey); r.git("tag", "-a", "-m", "x", "v1.0.0") }, ref: tag, mode: both, keys: []author{sshKey}, want: "InvalidGitObject"},
		"CommitOfTheTag": {reason: "HEAD with a tag is the commit that it stands for", make: func(r *repo) { r.signHead(sshKey); r.git("tag", "v1.0.0") }, ref: tag, mode: head, keys: []author{sshKey}, says: []string{"commit "}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRepo(t)
			r.commitFile("a.yaml", "a")
			tc.make(r)
			g, _ := newGit(t)
			ref := tc.ref
			if ref == nil {
				ref = &sourcev1.GitRepositoryRef{Branch: "main"}
			}
			req := source.GitRequest{URL: serve(t, r).repoURL(), Ref: ref, Verify: &source.Verification{Mode: tc.mode, Keys: keysOf(t, tc.keys...)}}
			var said string
			if tc.want == "" {
				said = strings.Join(fetch(t, g, req).Signatures(), "\n")
			} else {
				err := fails(t, g, req)
				said = err.Error()
				var typed *source.Error
				if !errors.As(err, &typed) || typed.Reason != tc.want || !typed.Unverified() {
					t.Errorf("%s: got %v, want the reason %s", tc.reason, err, tc.want)
				}
			}
			for _, word := range tc.says {
				if !strings.Contains(said, word) {
					t.Errorf("%s: it must say %q: %q", tc.reason, word, said)
				}
			}
		})
	}
}

// TestVerifyEachTime: what is stored already is looked at again, with the keys of the moment.
func TestVerifyEachTime(t *testing.T) {
	ada, bob := sshAuthor(t, "git"), sshAuthor(t, "git")
	r := newRepo(t)
	r.commitFile("a.yaml", "a")
	r.signHead(ada)
	s := serve(t, r)
	g, _ := newGit(t)
	req := source.GitRequest{URL: s.repoURL(), Ref: &sourcev1.GitRepositoryRef{Branch: "main"}}
	fetch(t, g, req)
	fetched := s.fetched.Load()
	for _, keys := range [][]author{{ada}, {ada, bob}} {
		req.Verify = &source.Verification{Keys: keysOf(t, keys...)}
		if got := fetch(t, g, req).Signatures(); len(got) != 1 || !strings.Contains(got[0], ada.name) {
			t.Errorf("signatures %q", got)
		}
	}
	req.Verify = &source.Verification{Keys: keysOf(t, bob)}
	if got := reason(fails(t, g, req)); got != source.ReasonInvalidCommitSignature {
		t.Errorf("the key was taken out of the Secret: got %s", got)
	}
	if got := s.fetched.Load(); got != fetched {
		t.Errorf("what is here was fetched %d times more", got-fetched)
	}
}

// TestVerifyTagOfAStoredCommit: the tag is new, its commit is not.
func TestVerifyTagOfAStoredCommit(t *testing.T) {
	ada := sshAuthor(t, "git")
	r := newRepo(t)
	r.commitFile("a.yaml", "a")
	url := serve(t, r).repoURL()
	g, _ := newGit(t)
	fetch(t, g, source.GitRequest{URL: url, Ref: &sourcev1.GitRepositoryRef{Branch: "main"}})
	r.signedTag(ada, "v1.0.0", "refs/tags/v1.0.0")
	snap := fetch(t, g, source.GitRequest{URL: url, Ref: &sourcev1.GitRepositoryRef{Tag: "v1.0.0"}, Verify: &source.Verification{Mode: sourcev1.ModeGitTag, Keys: keysOf(t, ada)}})
	if len(snap.Signatures()) != 1 {
		t.Errorf("signatures %q", snap.Signatures())
	}
}

// TestVerifyTagOfALyingServer: a tag's object is signed, and says which commit the tag stands for. The server's own word for that, beside it
// in the list of references, is not signed: it must not decide what is taken out of the store.
func TestVerifyTagOfALyingServer(t *testing.T) {
	t.Parallel()
	ada := sshAuthor(t, "git")
	for _, mode := range []sourcev1.GitVerificationMode{sourcev1.ModeGitTag, sourcev1.ModeGitTagAndHEAD} {
		t.Run(string(mode), func(t *testing.T) {
			t.Parallel()
			r := newRepo(t)
			r.commitFile("a.yaml", "good")
			good := r.signHead(ada)
			r.signedTag(ada, "v1.0.0", "refs/tags/v1.0.0")
			url := serve(t, r).repoURL()
			g, _ := newGit(t)
			tagged := source.GitRequest{URL: url, Ref: &sourcev1.GitRepositoryRef{Tag: "v1.0.0"}, Verify: &source.Verification{Mode: mode, Keys: keysOf(t, ada)}}
			fetch(t, g, tagged)

			r.commitFile("a.yaml", "evil")
			evil := r.signHead(ada) // Signed too, as an older commit would be that has a known hole.
			fetch(t, g, source.GitRequest{URL: url, Ref: branch("main")})
			r.git("pack-refs", "--all")
			packed := filepath.Join(r.tree(), ".git", "packed-refs")
			text, err := os.ReadFile(packed)
			must(t, err)
			lie := strings.Replace(string(text), "^"+good, "^"+evil, 1)
			must(t, os.WriteFile(packed, []byte(lie), 0o600))
			if shown := r.git("ls-remote", "."); !strings.Contains(shown, evil+"\trefs/tags/v1.0.0^{}") {
				t.Fatalf("the server must lie about the tag:\n%s", shown)
			}
			snap := fetch(t, g, tagged)
			if got := read(t, snap, "a.yaml"); got != "good" || snap.Revision() != "v1.0.0@sha1:"+good {
				t.Errorf("got %q at %s, with %q; the signed tag stands for %s", got, snap.Revision(), snap.Signatures(), good)
			}
		})
	}
}

func TestSigningKeysFromSecret(t *testing.T) {
	ada, bob := pgpAuthor(t, nil), sshAuthor(t, "git")
	cases := map[string]struct {
		reason string
		data   map[string][]byte
		want   string // in the text of the keys; empty: an error
	}{
		"Both":        {reason: "both kinds", data: map[string][]byte{"a.asc": ada.public, "b.sshpub": bob.public}, want: "1 PGP, 1 SSH"},
		"TwoLines":    {reason: "several keys in one entry", data: map[string][]byte{"b.sshpub": append(bob.public, sshAuthor(t, "git").public...)}, want: "0 PGP, 2 SSH"},
		"AnyName":     {reason: "as with Flux, an entry of another name may be a PGP key", data: map[string][]byte{"ada": ada.public, "x": []byte("no key")}, want: "1 PGP, 0 SSH"},
		"Empty":       {reason: "no entry", want: ""},
		"NoKey":       {reason: "no entry that can be read", data: map[string][]byte{"a.asc": []byte("secret words"), "b.sshpub": []byte("secret words")}},
		"Certificate": {reason: "an authority signs other keys, not commits", data: map[string][]byte{"b.sshpub": append([]byte("cert-authority "), bob.public[len("# of Ada\n"):]...)}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			keys, err := source.SigningKeysFromSecret(tc.data)
			if tc.want == "" {
				if err == nil || reason(err) != source.ReasonVerification || strings.Contains(err.Error(), "secret words") {
					t.Errorf("%s: got %v", tc.reason, err)
				}
				return
			}
			if err != nil || !strings.Contains(keys.String(), tc.want) {
				t.Errorf("%s: got %v, %v", tc.reason, keys, err)
			}
		})
	}
}

// TestVerifyWhatGitSigned holds our reading of Git's objects against Git's own tools.
func TestVerifyWhatGitSigned(t *testing.T) {
	for _, tool := range []string{"ssh-keygen", "gpg"} {
		t.Run(tool, func(t *testing.T) {
			if _, err := exec.LookPath(tool); err != nil {
				t.Skipf("%s isn't installed", tool)
			}
			r := newRepo(t)
			home := t.TempDir()
			run := func(name string, args ...string) []byte {
				t.Helper()
				cmd := exec.Command(name, args...)
				cmd.Env = append(os.Environ(), "GNUPGHOME="+home)
				out, err := cmd.Output()
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				return out
			}
			t.Setenv("GNUPGHOME", home)
			data := map[string][]byte{}
			if tool == "gpg" {
				run("gpg", "--batch", "--passphrase", "", "--quick-gen-key", "ada@example.com", "ed25519", "sign", "never")
				t.Cleanup(func() { _ = exec.Command("gpgconf", "--homedir", home, "--kill", "all").Run() })
				data["ada.asc"] = run("gpg", "--armor", "--export")
				r.git("config", "user.signingkey", "ada@example.com")
			} else {
				key := filepath.Join(home, "key")
				run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
				var err error
				data["ada.sshpub"], err = os.ReadFile(key + ".pub")
				must(t, err)
				r.git("config", "gpg.format", "ssh")
				r.git("config", "user.signingkey", key)
			}
			r.write("a.yaml", "a")
			r.git("add", "-A")
			r.git("commit", "-q", "-S", "-m", "subject\n\nbody\n")
			r.git("tag", "-s", "-m", "release\n\nnotes", "v1.0.0")
			keys, err := source.SigningKeysFromSecret(data)
			must(t, err)
			g, _ := newGit(t)
			snap := fetch(t, g, source.GitRequest{
				URL: serve(t, r).repoURL(), Ref: &sourcev1.GitRepositoryRef{Tag: "v1.0.0"},
				Verify: &source.Verification{Mode: sourcev1.ModeGitTagAndHEAD, Keys: keys},
			})
			if got := snap.Signatures(); len(got) != 2 || !slices.ContainsFunc(got, func(s string) bool { return strings.HasPrefix(s, "tag v1.0.0 ") }) {
				t.Errorf("signatures %q", got)
			}
		})
	}
}

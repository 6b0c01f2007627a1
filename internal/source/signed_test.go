package source

import "testing"

const plainCommit = "tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n"

func TestSignedCommit(t *testing.T) {
	cases := map[string]struct {
		reason, raw        string
		payload, signature string
	}{
		"AtTheEnd":  {reason: "Git puts it last", raw: plainCommit + "gpgsig A\n B\n \n C\n\nmessage\n", payload: plainCommit + "\nmessage\n", signature: "A\nB\n\nC\n"},
		"Between":   {reason: "headers behind it were signed too", raw: plainCommit + "gpgsig A\n B\nencoding x\n\nm", payload: plainCommit + "encoding x\n\nm", signature: "A\nB\n"},
		"Other":     {reason: "Git doesn't sign the signature for the other format", raw: plainCommit + "gpgsig-sha256 X\n Y\ngpgsig A\n B\n\nm", payload: plainCommit + "\nm", signature: "A\nB\n"},
		"Continued": {reason: "lines that continue another header are signed", raw: plainCommit + "mergetag object x\n gpgsig Z\n\tB\ngpgsig A\n\nm", payload: plainCommit + "mergetag object x\n gpgsig Z\n\tB\n\nm", signature: "A\n"},
		"InMessage": {reason: "what the message says is no header", raw: plainCommit + "gpgsig A\n\ngpgsig B\n", payload: plainCommit + "\ngpgsig B\n", signature: "A\n"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := signedCommit([]byte(tc.raw))
			if err != nil || string(got.payload) != tc.payload || string(got.signature) != tc.signature {
				t.Errorf("%s: got %q and %q, %v", tc.reason, got.payload, got.signature, err)
			}
		})
	}
}

func FuzzSignatures(f *testing.F) {
	for _, armor := range []string{"PGP SIGNATURE", "SSH SIGNATURE", "SIGNED MESSAGE"} {
		block := "-----BEGIN " + armor + "-----\n\nAAAA\n-----END " + armor + "-----\n"
		f.Add([]byte(plainCommit+"gpgsig "+block+"\nmessage\n"), []byte("x"))
		f.Add([]byte("object 4b825dc642cb6eb9a060e54bf8d69288fbee4904\ntype commit\ntag v1\n\nmessage\n"+block), []byte("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJHVTcKbCfhrGDIMMwfdRzcHvHRk2QAKHXRKi3bVHTl7"))
	}
	f.Add([]byte(plainCommit+"gpgsig -----BEGIN SSH SIGNATURE-----\n U1NIU0lHAAAAAQAAADMAAAALc3NoLWVkMjU1MTkAAAAg\n -----END SSH SIGNATURE-----\n\nm"), []byte("-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nxjMEaA\n-----END PGP PUBLIC KEY BLOCK-----\n"))
	known, err := SigningKeysFromSecret(map[string][]byte{"a.sshpub": []byte("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJHVTcKbCfhrGDIMMwfdRzcHvHRk2QAKHXRKi3bVHTl7")})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, raw, key []byte) {
		keys, err := SigningKeysFromSecret(map[string][]byte{"a.asc": key, "b.sshpub": key})
		if err != nil {
			keys = known
		}
		for _, split := range []func([]byte) (signed, error){signedCommit, signedTag} {
			s, err := split(raw)
			if err != nil {
				continue
			}
			if len(s.payload)+len(s.signature) > len(raw) {
				t.Errorf("%q was split into %q and %q", raw, s.payload, s.signature)
			}
			if by, err := keys.verify(s); err == nil {
				t.Errorf("a signature by %s out of nowhere", by)
			}
		}
		tagName(raw)
	})
}

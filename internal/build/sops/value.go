package sops

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

const (
	keySize = 32 // bytes: AES-256
	maxIV   = 64 // bytes; sops uses 32, its forerunner less
)

var (
	errNoValue = errors.New("is not an encrypted value, and should be one")
	errSealed  = errors.New("can't be decrypted with the file's data key: it was changed, or moved from elsewhere")
)

// sealed is one encrypted value.
type sealed struct {
	iv, data []byte // data has the tag at its end
	kind     string
}

// parseSealed reads "ENC[AES256_GCM,data:…,iv:…,tag:…,type:…]".
func parseSealed(text string) (sealed, error) {
	var s sealed
	rest, ok := strings.CutPrefix(text, "ENC[AES256_GCM,data:")
	if !ok {
		return s, errNoValue
	}
	rest, ok = strings.CutSuffix(rest, "]")
	if !ok {
		return s, errNoValue
	}
	data, rest, ok1 := strings.Cut(rest, ",iv:")
	iv, rest, ok2 := strings.Cut(rest, ",tag:")
	tag, kind, ok3 := strings.Cut(rest, ",type:")
	if !ok1 || !ok2 || !ok3 {
		return s, errNoValue
	}
	var err error
	decode := func(text string) []byte {
		out, e := base64.StdEncoding.DecodeString(text)
		err = errors.Join(err, e)
		return out
	}
	s.data, s.iv = append(decode(data), decode(tag)...), decode(iv)
	s.kind = kind
	if err != nil || len(s.iv) == 0 || len(s.iv) > maxIV {
		return s, errNoValue
	}
	return s, nil
}

// open decrypts the text of a value. The empty text stands for itself.
func open(text string, key []byte, additional string) (any, error) {
	if text == "" {
		return "", nil
	}
	s, err := parseSealed(text)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("prepare the data key: %w", err)
	}
	gcm, err := cipher.NewGCMWithNonceSize(block, len(s.iv))
	if err != nil {
		return nil, fmt.Errorf("prepare the data key: %w", err)
	}
	plain, err := gcm.Open(nil, s.iv, s.data, []byte(additional))
	if err != nil {
		return nil, errSealed
	}
	value, err := typed(s.kind, string(plain))
	if err != nil {
		return nil, fmt.Errorf("is not the %s that it is said to be", s.kind) // the cause would quote it
	}
	return value, nil
}

func typed(kind, text string) (any, error) {
	switch kind {
	case "str", "bytes":
		return text, nil
	case "int":
		return strconv.Atoi(text)
	case "float":
		return strconv.ParseFloat(text, 64)
	case "bool":
		return strconv.ParseBool(text)
	case "time":
		var at time.Time
		err := at.UnmarshalText([]byte(text))
		return at, err
	case "comment":
		return &comment{text: text}, nil
	}
	return nil, errors.New("unknown type")
}

// hashed is the form in which a value enters the MAC.
func hashed(value any) ([]byte, error) {
	switch value := value.(type) {
	case string:
		return []byte(value), nil
	case int:
		return []byte(strconv.Itoa(value)), nil
	case float64:
		return []byte(strconv.FormatFloat(value, 'f', -1, 64)), nil
	case bool:
		if value {
			return []byte("True"), nil
		}
		return []byte("False"), nil
	case time.Time:
		return value.MarshalText()
	}
	return nil, fmt.Errorf("is a %T, which sops can't have encrypted", value)
}

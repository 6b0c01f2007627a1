package sops

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
)

var errJSON = errors.New("is not a JSON object")

func parseJSON(content []byte) ([]document, error) {
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.UseNumber()
	value, err := jsonValue(decoder, 0)
	if err != nil {
		return nil, err
	}
	doc, ok := value.(mapping)
	if !ok {
		return nil, errJSON
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errJSON
	}
	return []document{doc}, nil
}

func jsonValue(decoder *json.Decoder, depth int) (any, error) {
	if depth > maxDepth {
		return nil, errTooDeep
	}
	token, err := decoder.Token()
	if err != nil {
		return nil, errJSON
	}
	switch token := token.(type) {
	case json.Delim:
		if token == '{' {
			return jsonMapping(decoder, depth)
		}
		return jsonList(decoder, depth)
	case json.Number:
		if i, err := token.Int64(); err == nil {
			return int(i), nil
		}
		f, err := token.Float64()
		if err != nil {
			return nil, errors.New("has a number that is too large")
		}
		return f, nil
	}
	return token, nil
}

func jsonMapping(decoder *json.Decoder, depth int) (mapping, error) {
	m := mapping{}
	seen := map[string]bool{}
	for decoder.More() {
		key, err := decoder.Token()
		name, ok := key.(string)
		if err != nil || !ok || seen[name] {
			return nil, errJSON
		}
		seen[name] = true
		value, err := jsonValue(decoder, depth+1)
		if err != nil {
			return nil, err
		}
		m = append(m, entry{key: name, value: value})
	}
	if _, err := decoder.Token(); err != nil {
		return nil, errJSON
	}
	return m, nil
}

func jsonList(decoder *json.Decoder, depth int) (list, error) {
	l := list{}
	for decoder.More() {
		value, err := jsonValue(decoder, depth+1)
		if err != nil {
			return nil, err
		}
		l = append(l, value)
	}
	if _, err := decoder.Token(); err != nil {
		return nil, errJSON
	}
	return l, nil
}

func emitJSON(docs []document) ([]byte, error) {
	if len(docs) == 0 {
		return nil, errors.New("is empty")
	}
	var compact, out bytes.Buffer
	if err := writeJSON(&compact, docs[0]); err != nil {
		return nil, err
	}
	if err := json.Indent(&out, compact.Bytes(), "", "\t"); err != nil {
		return nil, errors.New("can't be written as JSON")
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

func writeJSON(out *bytes.Buffer, v any) error {
	switch v := v.(type) {
	case mapping:
		out.WriteByte('{')
		first := true
		for _, e := range v {
			if e.comment != nil {
				continue
			}
			if !first {
				out.WriteByte(',')
			}
			first = false
			if err := writeJSON(out, e.key); err != nil {
				return err
			}
			out.WriteByte(':')
			if err := writeJSON(out, e.value); err != nil {
				return err
			}
		}
		out.WriteByte('}')
		return nil
	case list:
		out.WriteByte('[')
		first := true
		for _, item := range v {
			if _, ok := item.(*comment); ok {
				continue
			}
			if !first {
				out.WriteByte(',')
			}
			first = false
			if err := writeJSON(out, item); err != nil {
				return err
			}
		}
		out.WriteByte(']')
		return nil
	case *comment:
		out.WriteString("null")
		return nil
	}
	text, err := json.Marshal(v)
	if err != nil {
		return errors.New("can't be written as JSON")
	}
	out.Write(text)
	return nil
}

func emitBinary(docs []document) ([]byte, error) {
	if len(docs) == 1 {
		if value, ok := docs[0].get("data"); ok {
			if text, ok := value.(string); ok {
				return []byte(text), nil
			}
		}
	}
	return nil, errors.New("has no binary data in it: its name must tell its format (.yaml, .json, .env, .ini) unless it was encrypted as binary")
}

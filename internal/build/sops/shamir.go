package sops

import "errors"

// combine restores a secret from parts of it, as Shamir's scheme over GF(2⁸) with the polynomial x⁸+x⁴+x³+x+1 splits it, each byte by
// itself: a part is the values of the polynomials at one x, which is its last byte, and the secret their values at 0.
func combine(parts [][]byte) ([]byte, error) {
	if len(parts) < 2 {
		return nil, errors.New("fewer than two parts of the data key")
	}
	size := len(parts[0])
	seen := [256]bool{}
	for _, p := range parts {
		if len(p) != size || size < 2 {
			return nil, errors.New("the parts of the data key differ in length")
		}
		x := p[size-1]
		if x == 0 || seen[x] {
			return nil, errors.New("two parts of the data key are the same")
		}
		seen[x] = true
	}
	secret := make([]byte, size-1)
	for i, p := range parts {
		// Lagrange's basis polynomial of this part at 0.
		weight := byte(1)
		for j, q := range parts {
			if i != j {
				weight = times(weight, times(q[size-1], inverted(p[size-1]^q[size-1])))
			}
		}
		for at := range secret {
			secret[at] ^= times(p[at], weight)
		}
	}
	return secret, nil
}

// times multiplies in GF(2⁸).
func times(a, b byte) byte {
	var product byte
	for range 8 {
		if b&1 != 0 {
			product ^= a
		}
		carry := a & 0x80
		a <<= 1
		if carry != 0 {
			a ^= 0x1b
		}
		b >>= 1
	}
	return product
}

// inverted is a²⁵⁴, by which a gives 1, as every element but 0 does to the power of 255.
func inverted(a byte) byte {
	out := byte(1)
	for range 254 {
		out = times(out, a)
	}
	return out
}

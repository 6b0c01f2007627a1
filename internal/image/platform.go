package image

import (
	"debug/elf"
	"errors"
	"fmt"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// platformOf reads from a binary which platform it is for. It must be a statically linked executable.
func platformOf(binary string) (*v1.Platform, error) {
	file, err := elf.Open(binary)
	var format *elf.FormatError
	if errors.As(err, &format) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, ErrNotLinux
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // it was only read
	for _, segment := range file.Progs {
		if segment.Type == elf.PT_INTERP {
			return nil, ErrNotStatic
		}
	}
	arch, err := archOf(file)
	if err != nil {
		return nil, err
	}
	return &v1.Platform{OS: "linux", Architecture: arch}, nil
}

func archOf(file *elf.File) (string, error) {
	little := file.ByteOrder.String() == "LittleEndian"
	switch {
	case file.Machine == elf.EM_X86_64:
		return "amd64", nil
	case file.Machine == elf.EM_AARCH64:
		return "arm64", nil
	case file.Machine == elf.EM_386:
		return "386", nil
	case file.Machine == elf.EM_RISCV:
		return "riscv64", nil
	case file.Machine == elf.EM_S390:
		return "s390x", nil
	case file.Machine == elf.EM_PPC64 && little:
		return "ppc64le", nil
	default:
		return "", fmt.Errorf("%w: its machine %s is none that Slipway knows", ErrPlatform, file.Machine)
	}
}

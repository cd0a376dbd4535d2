// Verifies a log as C2SP tlog-tiles lays it out, with Go's own code: the notes, trees, tiles and
// proofs of golang.org/x/mod/sumdb, which is what every Go toolchain checks modules with.
//
//	verify FOLDER VKEY... < questions
//
// The checkpoint must be signed by each key. Every entry is read, and must be the one in the tree.
// A line "entry N" or "grown N" of the questions is answered by Go's own proof, on one line.
package main

import (
	"bufio"
	"crypto/ed25519"
	"crypto/mldsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func main() {
	if err := run(os.Args[1], os.Args[2:]); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

func run(folder string, vkeys []string) error {
	raw, err := os.ReadFile(filepath.Join(folder, "checkpoint"))
	if err != nil {
		return err
	}
	tree, err := open(raw, vkeys)
	if err != nil {
		return err
	}
	hashes := tlog.TileHashReader(tree, files(folder))
	root, err := tlog.TreeHash(tree.N, hashes)
	if err != nil {
		return err
	}
	if root != tree.Hash {
		return errors.New("the root is another")
	}
	if err := entries(folder, tree.N, hashes); err != nil {
		return err
	}
	fmt.Println(tree.N, root)
	return answer(tree, hashes)
}

// open returns the tree of a checkpoint that every key has signed.
func open(raw []byte, vkeys []string) (tlog.Tree, error) {
	var tree tlog.Tree
	var verifiers []note.Verifier
	for _, vkey := range vkeys {
		verifier, err := verifierOf(vkey)
		if err != nil {
			return tree, err
		}
		verifiers = append(verifiers, verifier)
	}
	opened, err := note.Open(raw, note.VerifierList(verifiers...))
	if err != nil {
		return tree, err
	}
	if len(opened.Sigs) != len(vkeys) {
		return tree, errors.New("a signature is missing")
	}
	lines := strings.Split(opened.Text, "\n")
	if tree.N, err = strconv.ParseInt(lines[1], 10, 64); err != nil {
		return tree, err
	}
	tree.Hash, err = tlog.ParseHash(lines[2])
	return tree, err
}

// files reads tiles of 256 hashes. Go's paths have the height in them, C2SP's have not.
type files string

func (folder files) Height() int                                { return 8 }
func (folder files) SaveTiles(tiles []tlog.Tile, data [][]byte) {}
func (folder files) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var found [][]byte
	for _, tile := range tiles {
		path := strings.Replace(tile.Path(), "tile/8/", "tile/", 1)
		data, err := os.ReadFile(filepath.Join(string(folder), path))
		if err != nil {
			return nil, err
		}
		found = append(found, data)
	}
	return found, nil
}

// entries compares every entry with its hash in the tree.
func entries(folder string, size int64, hashes tlog.HashReader) error {
	for first := int64(0); first < size; first += 256 {
		width := min(256, size-first)
		path := tlog.Tile{H: 8, L: 0, N: first / 256, W: int(width)}.Path()
		path = strings.Replace(path, "tile/8/0/", "tile/entries/", 1)
		data, err := os.ReadFile(filepath.Join(folder, path))
		if err != nil {
			return err
		}
		var indexes []int64
		for n := first; n < first+width; n++ {
			indexes = append(indexes, tlog.StoredHashIndex(0, n))
		}
		expected, err := hashes.ReadHashes(indexes)
		if err != nil {
			return err
		}
		for n, hash := range expected {
			if len(data) < 2 || len(data) < 2+int(binary.BigEndian.Uint16(data)) {
				return fmt.Errorf("%s ends early", path)
			}
			end := 2 + int(binary.BigEndian.Uint16(data))
			if tlog.RecordHash(data[2:end]) != hash {
				return fmt.Errorf("entry %d of %s is another", n, path)
			}
			data = data[end:]
		}
		if len(data) > 0 {
			return fmt.Errorf("%s has bytes too many", path)
		}
	}
	return nil
}

// answer proves what is asked for, and checks the proof.
func answer(tree tlog.Tree, hashes tlog.HashReader) error {
	asked := bufio.NewScanner(os.Stdin)
	for asked.Scan() {
		var what string
		var n int64
		if _, err := fmt.Sscan(asked.Text(), &what, &n); err != nil {
			return err
		}
		var proof []tlog.Hash
		if what == "entry" {
			found, err := tlog.ProveRecord(tree.N, n, hashes)
			if err != nil {
				return err
			}
			leaf, err := hashes.ReadHashes([]int64{tlog.StoredHashIndex(0, n)})
			if err != nil {
				return err
			}
			if err := tlog.CheckRecord(found, tree.N, tree.Hash, n, leaf[0]); err != nil {
				return err
			}
			proof = found
		} else {
			found, err := tlog.ProveTree(tree.N, n, hashes)
			if err != nil {
				return err
			}
			old, err := tlog.TreeHash(n, hashes)
			if err != nil {
				return err
			}
			if err := tlog.CheckTree(found, tree.N, tree.Hash, n, old); err != nil {
				return err
			}
			proof = append([]tlog.Hash{old}, found...)
		}
		for _, hash := range proof {
			fmt.Print(hash, " ")
		}
		fmt.Println()
	}
	return asked.Err()
}

// cosigner verifies what Go's notes know no kind for: C2SP tlog-cosignature.
type cosigner struct {
	name string
	hash uint32
	kind byte
	key  []byte
}

func verifierOf(vkey string) (note.Verifier, error) {
	parts := strings.SplitN(vkey, "+", 3)
	key, err := base64.StdEncoding.DecodeString(parts[2])
	if err != nil {
		return nil, err
	}
	if key[0] == 1 {
		return note.NewVerifier(vkey)
	}
	hash := sha256.Sum256(append([]byte(parts[0]+"\n"), key...))
	return cosigner{parts[0], binary.BigEndian.Uint32(hash[:]), key[0], key[1:]}, nil
}

func (c cosigner) Name() string    { return c.name }
func (c cosigner) KeyHash() uint32 { return c.hash }

func (c cosigner) Verify(text, signature []byte) bool {
	if len(signature) < 8 {
		return false
	}
	at, signature := binary.BigEndian.Uint64(signature), signature[8:]
	if c.kind == 4 {
		message := fmt.Sprintf("cosignature/v1\ntime %d\n%s", at, text)
		return ed25519.Verify(c.key, []byte(message), signature)
	}
	lines := strings.Split(string(text), "\n")
	size, err := strconv.ParseUint(lines[1], 10, 64)
	if err != nil {
		return false
	}
	root, err := tlog.ParseHash(lines[2])
	if err != nil {
		return false
	}
	message := append([]byte("subtree/v1\n\x00"), byte(len(c.name)))
	message = binary.BigEndian.AppendUint64(append(message, c.name...), at)
	message = append(append(message, byte(len(lines[0]))), lines[0]...)
	message = binary.BigEndian.AppendUint64(message, 0)
	message = append(binary.BigEndian.AppendUint64(message, size), root[:]...)
	public, err := mldsa.NewPublicKey(mldsa.MLDSA44(), c.key)
	return err == nil && mldsa.Verify(public, message, signature, nil) == nil
}

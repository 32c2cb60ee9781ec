#include "textflag.h"

// Each table gives the errors that a nibble allows; an error remains if all three
// nibbles allow it:
//
//	0x01 a lead byte is not followed by enough continuation bytes
//	0x02 a continuation byte follows ASCII
//	0x04 an overlong encoding in three bytes
//	0x08 above U+10FFFF
//	0x10 a surrogate
//	0x20 an overlong encoding in two bytes
//	0x40 above U+10FFFF, or an overlong encoding in four bytes
//	0x80 two continuation bytes, which is an error unless a lead byte of three or four is before

// by the high nibble of the previous byte
DATA previousHigh<>+0(SB)/8, $0x0202020202020202
DATA previousHigh<>+8(SB)/8, $0x4915012180808080
DATA previousHigh<>+16(SB)/8, $0x0202020202020202
DATA previousHigh<>+24(SB)/8, $0x4915012180808080
GLOBL previousHigh<>(SB), RODATA|NOPTR, $32

// by the low nibble of the previous byte
DATA previousLow<>+0(SB)/8, $0xcbcbcb8b8383a3e7
DATA previousLow<>+8(SB)/8, $0xcbcbdbcbcbcbcbcb
DATA previousLow<>+16(SB)/8, $0xcbcbcb8b8383a3e7
DATA previousLow<>+24(SB)/8, $0xcbcbdbcbcbcbcbcb
GLOBL previousLow<>(SB), RODATA|NOPTR, $32

// by the high nibble of the byte
DATA currentHigh<>+0(SB)/8, $0x0101010101010101
DATA currentHigh<>+8(SB)/8, $0x01010101babaaee6
DATA currentHigh<>+16(SB)/8, $0x0101010101010101
DATA currentHigh<>+24(SB)/8, $0x01010101babaaee6
GLOBL currentHigh<>(SB), RODATA|NOPTR, $32

DATA limits<>+0(SB)/1, $0x0f
DATA limits<>+1(SB)/1, $0x60 // 0xe0 - 0x80: lead bytes of three
DATA limits<>+2(SB)/1, $0x70 // 0xf0 - 0x80: lead bytes of four
DATA limits<>+3(SB)/1, $0x80
GLOBL limits<>(SB), RODATA|NOPTR, $4

// func validBlocks(text []byte) (valid bool)
TEXT ·validBlocks(SB), NOSPLIT, $0-25
	MOVQ text_base+0(FP), SI
	MOVQ text_len+8(FP), CX
	VMOVDQU previousHigh<>(SB), Y8
	VMOVDQU previousLow<>(SB), Y9
	VMOVDQU currentHigh<>(SB), Y10
	VPBROADCASTB limits<>+0(SB), Y11
	VPBROADCASTB limits<>+1(SB), Y12
	VPBROADCASTB limits<>+2(SB), Y13
	VPBROADCASTB limits<>+3(SB), Y14
	VPXOR Y15, Y15, Y15 // errors
	VPXOR Y0, Y0, Y0    // the previous block
	SHRQ $5, CX
	JZ   done

next:
	VMOVDQU    (SI), Y1
	VPERM2I128 $0x21, Y1, Y0, Y2 // the high half of the previous block and the low half of this one
	VPALIGNR   $15, Y2, Y1, Y3   // each byte's previous one
	VPSRLW     $4, Y3, Y4
	VPAND      Y11, Y4, Y4
	VPSHUFB    Y4, Y8, Y4
	VPAND      Y11, Y3, Y5
	VPSHUFB    Y5, Y9, Y5
	VPSRLW     $4, Y1, Y6
	VPAND      Y11, Y6, Y6
	VPSHUFB    Y6, Y10, Y6
	VPAND      Y4, Y5, Y4
	VPAND      Y4, Y6, Y4
	VPALIGNR   $14, Y2, Y1, Y5 // the byte before that one
	VPSUBUSB   Y12, Y5, Y5
	VPALIGNR   $13, Y2, Y1, Y6 // and the one before
	VPSUBUSB   Y13, Y6, Y6
	VPOR       Y5, Y6, Y5
	VPAND      Y14, Y5, Y5     // the second and third continuation bytes that there must be
	VPXOR      Y4, Y5, Y5
	VPOR       Y5, Y15, Y15
	VMOVDQA    Y1, Y0
	ADDQ       $32, SI
	DECQ       CX
	JNZ        next

done:
	VPTEST Y15, Y15
	SETEQ  valid+24(FP)
	VZEROUPPER
	RET

#include "textflag.h"

DATA characters<>+0(SB)/1, $'"'
DATA characters<>+1(SB)/1, $'\\'
DATA characters<>+2(SB)/1, $' '
GLOBL characters<>(SB), RODATA|NOPTR, $3

// func markBlocks(marks, text []byte) (nonASCII bool)
TEXT ·markBlocks(SB), NOSPLIT, $0-49
	MOVQ marks_base+0(FP), DI
	MOVQ text_base+24(FP), SI
	MOVQ text_len+32(FP), CX
	VPBROADCASTB characters<>+0(SB), Y0
	VPBROADCASTB characters<>+1(SB), Y1
	VPBROADCASTB characters<>+2(SB), Y2
	VPXOR Y7, Y7, Y7 // the OR of all bytes
	SHRQ $5, CX
	JZ   done

next:
	VMOVDQU   (SI), Y3
	VPOR      Y3, Y7, Y7
	VPCMPEQB  Y0, Y3, Y4
	VPCMPEQB  Y1, Y3, Y5
	VPCMPGTB  Y3, Y2, Y6 // signed less than a space: control characters and bytes that are not ASCII
	VPANDN    Y6, Y3, Y6 // clears the top bits of bytes that are not ASCII
	VPOR      Y4, Y5, Y4
	VPOR      Y4, Y6, Y4
	VPMOVMSKB Y4, AX
	MOVL      AX, (DI)
	ADDQ      $32, SI
	ADDQ      $4, DI
	DECQ      CX
	JNZ       next

done:
	VPMOVMSKB Y7, AX
	VZEROUPPER
	TESTL AX, AX
	SETNE nonASCII+48(FP)
	RET

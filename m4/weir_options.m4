dnl WEIR_SANITIZE(NAME, FLAG, WORDS): --enable-NAME builds and links with -fsanitize=FLAG.
AC_DEFUN([WEIR_SANITIZE], [
  AC_ARG_ENABLE([$1], [AS_HELP_STRING([--enable-$1], [build with $3])], [], [enable_$1=no])
  AS_IF([test "x$enable_$1" = xyes],
    [WEIR_CFLAGS="$WEIR_CFLAGS -fsanitize=$2 -fno-omit-frame-pointer"
     LDFLAGS="$LDFLAGS -fsanitize=$2"
     weir_sanitizers="$weir_sanitizers $1"
     AC_DEFINE([WEIR_SANITIZED], [1], [Built with a sanitizer, and so slower than others.])])
  AS_IF([test "x$1$enable_$1" = xubsanyes],
    [WEIR_CFLAGS="$WEIR_CFLAGS -fno-sanitize-recover=undefined"])
])

dnl WEIR_OPTIONAL(NAME, HEADER, LIB, FUNCTION): --with-NAME, used when it is there.  Asked for and
dnl missing is an error; not asked for and missing is a build that says so.  Sets NAME_LIBS and
dnl HAVE_NAME (always defined, 0 or 1).
AC_DEFUN([WEIR_OPTIONAL], [
  AC_ARG_WITH([$1], [AS_HELP_STRING([--with-$1], [use $1 @<:@default=if there@:>@])], [], [with_$1=guess])
  weir_have_$1=no
  AS_IF([test "x$with_$1" != xno],
    [AC_CHECK_LIB([$3], [$4], [weir_have_$1=yes])
     m4_ifval([$2], [AC_CHECK_HEADER([$2], [], [weir_have_$1=no])])
     AS_IF([test "x$with_$1" = xyes && test "x$weir_have_$1" = xno],
       [AC_MSG_ERROR([$1 was asked for, but is not there])])])
  weir_num=0
  AS_IF([test "x$weir_have_$1" = xyes], [weir_num=1; m4_toupper($1)_LIBS=-l$3])
  AC_DEFINE_UNQUOTED([HAVE_]m4_toupper($1), [$weir_num], [1 when $1 is used, else 0.])
  AC_SUBST(m4_toupper($1)[_LIBS])
])

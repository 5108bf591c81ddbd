/* Which of the kinds of native/__init__.py is compiled: CAFFE_AMX is defined where products are AMX's.

   With TILES_EMULATED AMX's instructions are functions on plain memory: slow, for tests on processors
   without AMX. */

#ifndef CAFFE_KIND_H
#define CAFFE_KIND_H

#if defined(__AMX_TILE__) || defined(TILES_EMULATED)
#define CAFFE_AMX
#endif

#endif
